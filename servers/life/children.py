"""Child processes by fork(): started, reaped, and taken along when the server stops. POSIX only.

SIGCHLD is handled, not ignored: for an ignored one the kernel forgets what the children used of
the CPU, and that is what the suite measures.
"""

from __future__ import annotations

__all__ = ["Children", "signals_held"]

import os
import signal
import sys
from collections import deque
from contextlib import contextmanager
from functools import partial
from time import monotonic

from servers.life.notices import Episode
from servers.life.parent import Lifeline
from servers.life.stopping import CannotStart

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket
    from typing import NoReturn

    from servers.life.listener import Listener
    from servers.life.mailbox import Mailbox

    Work = Callable[[int, Callable[[], object]], None]

HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
REPLACING_SECONDS = 1.0
"""In which no more workers are replaced than there are: some may never live for long."""


class Children:
    """The children of this process; there may be no others, for they are all reaped here."""

    def __init__(self, listener: Listener | Mailbox) -> None:
        self._listener: Listener = listener  # type: ignore[assignment]  # or `start` is not for it
        self._pids: set[int] = set()
        self._lifeline = Lifeline()
        self._failures = Episode()
        listener.has_children(self._pids)
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())

    def start(self, connection: socket, work: Callable[[], None]) -> None:
        """Do `work` on a connection in a child of its own, which ends with it.

        Where there can be no further process, the peer is told so.
        """
        try:
            self._fork(partial(self._serve_one, connection, work))
        except OSError as error:
            reason = f"No further process can start ({error.strerror})"
            self._listener.admission.refuse(connection, reason)

    def keep_working(self, workers: int, work: Work, ready: Callable[[], None]) -> None:
        """Have `workers` children do `work`, which accepts connections, until the stop.

        It is told its place among them, from 0 on, and what to call when it is ready; `ready` is
        called when all are, or have died. One that dies is replaced in its place, but no more than
        `workers` in REPLACING_SECONDS. CannotStart when they cannot at first; later, those that
        live go on.
        """
        pipe = os.pipe()  # which ends when no child keeps it any more
        started = partial(close_all, pipe)
        try:
            pids = [self._work_at(work, place, started) for place in range(workers)]
        except OSError as error:
            self._listener.stop.begin()
            self.wait()
            raise CannotStart(f"Cannot start {workers} workers: {error.strerror}.") from error
        os.close(pipe[1])
        os.read(pipe[0], 1)
        os.close(pipe[0])
        ready()
        latest = deque([-REPLACING_SECONDS] * workers, workers)  # when they were started
        while not self._listener.stop.begun:
            died = [place for place in range(workers) if pids[place] not in self._pids]
            for place in died:
                self._listener.has_lost_child(place)
            if not died or monotonic() - latest[0] < REPLACING_SECONDS:
                signal.pause()  # until one has died, the stop has come, or the next pulse
                continue
            latest.append(monotonic())
            try:
                pids[died[0]] = self._work_at(work, died[0], bool)
            except OSError as error:
                self._failures.say(f"cannot replace a worker for now: {error.strerror}.")

    def wait(self) -> None:
        """Return when all have ended."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # reaped here from now on
        while self._pids:
            pid, _ = os.waitpid(-1, 0)
            self._pids.discard(pid)

    def _work_at(self, work: Work, place: int, started: Callable[[], object]) -> int:
        return self._fork(partial(self._accept, place, partial(work, place, started)))

    def _fork(self, become: Callable[[set[int]], None]) -> int:
        # A child may end, and a stop may come, before the child is known here: both must wait.
        with signals_held() as unmasked:
            pid = os.fork()
            if not pid:
                run_and_exit(partial(become, unmasked))
            self._pids.add(pid)
        return pid

    def _serve_one(self, connection: socket, work: Callable[[], None], unmasked: set[int]) -> None:
        """In a child: serve a connection that its parent has accepted."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._lifeline.hold_soon()
        self._listener.leave_to_parent(keep=connection)
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        work()

    def _accept(self, place: int, work: Callable[[], None], unmasked: set[int]) -> None:
        """In a child: accept connections until the stop, of this child or of them all."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._lifeline.hold()
        self._listener.share_with_parent(place)
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        work()

    def _reap(self) -> None:
        """Reap whoever has ended: one SIGCHLD may stand for many."""
        while self._pids:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return  # another SIGCHLD, in the middle of this one, has reaped them all
            if not pid:
                return
            self._pids.discard(pid)


def close_all(descriptors: tuple[int, ...]) -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def signals_held() -> Iterator[set[int]]:
    """Have SIGTERM, SIGINT and SIGCHLD wait; a child forked meanwhile sets the mask that it was."""
    unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield unmasked
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    """Do `work` and end this process without a way back into what its parent was doing."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - told like any other, but it must not get further
        sys.excepthook(*sys.exc_info())  # which does not raise: see notices.StandardError
        os._exit(1)
    os._exit(0)
