"""asyncio's streams in one thread, with COMPUTE handed to the processes of a pool.

When one of them is killed, concurrent.futures gives the whole pool up. What was being computed in
it is lost, and the connections that had asked end; another pool takes its place, but not at once
when one has just done so, for its workers may never live for long.
"""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from time import monotonic

from servers.drivers import loops
from servers.drivers.offloading import OffloadingSession
from servers.life.notices import Episode
from servers.life.parent import Lifeline
from servers.life.processes import close, end_workers, worker_pids
from servers.life.stopping import STOPPING, CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from servers.life.listener import Listener
    from servers.service import Service

REPLACING_SECONDS = 1.0
"""The least time from one pool to the next."""


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.stop.children = worker_pids
    pools = []

    def begin() -> None:
        pools.append(Pool(listener, workers, asyncio.get_running_loop()))
        service.make_session = partial(OffloadingSession, pools[0].submit)
        ready()

    try:
        loops.run(listener, service, begin)
    finally:  # also when nobody hears that it is ready
        for pool in pools:
            pool.close()


class Pool:
    """Processes that compute, as many as there should be."""

    def __init__(self, listener: Listener, workers: int, loop: asyncio.AbstractEventLoop) -> None:
        """Start them, and look after them in the loop; CannotStart when that cannot be."""
        self._listener = listener
        self._workers = workers
        self._loop = loop
        self._lifeline = Lifeline()
        self._failures = Episode()
        self._started = -REPLACING_SECONDS
        try:
            self._start()
        except (OSError, RuntimeError) as error:
            end_workers()
            raise CannotStart(f"Cannot start {workers} workers: {error}.") from error
        signal.signal(signal.SIGCHLD, lambda *_: loop.call_soon_threadsafe(self._look))

    def _start(self) -> None:
        self._started = monotonic()
        self._executor = ProcessPoolExecutor(
            self._workers, get_context("fork"), become_worker, (self._listener, self._lifeline)
        )
        self._executor.submit(os.getpid)  # the first task is what starts them, all at once

    def submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Have a process do `work`; BrokenProcessPool when they die as soon as they start."""
        with suppress(BrokenProcessPool):
            return self._executor.submit(work, *arguments)
        self._replace()
        return self._executor.submit(work, *arguments)

    def _look(self) -> None:
        if not self._listener.stop.begun and len([*worker_pids()]) < self._workers:
            self._replace()

    def _replace(self) -> None:
        """Start others, now or later; the loop waits meanwhile, some milliseconds."""
        left = self._started + REPLACING_SECONDS - monotonic()
        if left > 0:
            self._loop.call_later(left, self._look)
            return
        close(self._executor)
        try:
            self._start()
        except (OSError, RuntimeError, BrokenProcessPool) as error:
            end_workers()
            self._failures.say(f"cannot replace the workers for now: {error}.")
            self._loop.call_later(REPLACING_SECONDS, self._look)

    def close(self) -> None:
        """Return when the processes have ended."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close(self._executor)


def become_worker(listener: Listener, lifeline: Lifeline) -> None:
    """Leave the connections to the parent, and end with it or when it says so: not by a signal.

    A stop lets what has arrived be answered, and that may need this process.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lifeline.hold()
    listener.leave_to_parent()
