"""A fixed number of processes: a connection is a task, and waits until a process is free.

The accepted socket travels as a descriptor over a socket pair that the workers have; the task
itself says only "take the next one". Pickling the socket into the task would cost a thread and a
handshake for each connection, and leave the descriptors behind when the pool breaks.

How the workers start is the row's to say: by fork(), or as fresh interpreters ("spawn"), or forked
from one such interpreter ("forkserver", what multiprocessing does unless told from Python 3.14 on).
A worker that is not our own child by fork() has nothing of its parent, so it is handed the service.

When a worker is killed, concurrent.futures gives the whole pool up, and another takes its place. A
worker of that may be killed, too, before it is ready or has got anything: REBUILDS times at most
for one connection, which is then refused. The next one tries again.
"""

from __future__ import annotations

__all__ = ["serve"]

import errno
import os
import signal
import socket
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from time import sleep

from servers.drivers.blocking import converse
from servers.life.admission import Admission
from servers.life.notices import Episode, StandardError, voice
from servers.life.parent import Lifeline
from servers.life.processes import close, end_workers, worker_pids
from servers.life.stopping import STOPPING, CannotStart, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.life.notices import Ration
    from servers.service import Service

HUNG_UP = {errno.EPIPE, errno.ECONNRESET, errno.EBADF}
"""What sending to a pool says that has lost its workers, or that has been closed."""
REBUILDS = 3
FULL_PAUSE_SECONDS = 0.01
"""How long it can go unnoticed that a worker has taken a connection from a full channel."""
EXHAUSTED_PAUSE_SECONDS = 0.05


def serve(
    listener: Listener,
    service: Service,
    ready: Callable[[], None],
    workers: int,
    *,
    method: str = "fork",
) -> None:
    """Serve until the listener stops, with workers that start by this method."""
    listener.stop.children = worker_pids
    if method != "fork":
        keep_tracker_quiet()
    lifeline = Lifeline()
    start = partial(Pool, listener, service, workers, lifeline, method)
    try:
        pool = start()
    except (OSError, RuntimeError) as error:
        end_workers()
        raise CannotStart(f"Cannot start {workers} workers: {error}.") from error
    ready()
    for connection in listener:
        with connection:  # the parent's copy of it
            try:
                pool = serve_with(pool, start, connection)
            except BrokenProcessPool:
                listener.admission.refuse(connection, "Workers are killed as soon as they start")
            except (OSError, RuntimeError) as error:  # the machine's; the next one tries again
                end_workers()
                listener.admission.refuse(connection, f"No workers can start ({error})")
    pool.close()


def keep_tracker_quiet() -> None:
    """Have multiprocessing's tracker of semaphores clean up after us without a word.

    When the grace is over this process ends at once, and leaves the semaphores to it.
    """
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.getenv("PYTHONWARNINGS"), quiet)))


def serve_with(pool: Pool, start: Callable[[], Pool], connection: socket.socket) -> Pool:
    """Hand a connection to the pool or to one in its place, and return that one.

    OSError when the workers cannot start, BrokenProcessPool when they do not live.
    """
    for _ in range(REBUILDS):
        with suppress(BrokenProcessPool):
            pool.serve(connection)
            return pool
        pool.close()
        pool = start()
    pool.serve(connection)
    return pool


class Pool:
    """One generation of workers, and the channel over which connections reach them.

    The connections that its workers served or that were on their way to them end with it.
    """

    def __init__(
        self, listener: Listener, service: Service, workers: int, lifeline: Lifeline, method: str
    ) -> None:
        """Start the workers and return when all of them run.

        OSError or RuntimeError when they cannot. If one is killed before it runs, the pool is a
        broken one: `serve` will say so.
        """
        self._under_way: set[Future[None]] = set()
        listener.admission.elsewhere = self._under_way.__len__
        self._channel, workers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        forks = method == "fork"
        inherited = (listener, service, lifeline, workers_end, self._channel)
        handed = (listener.stop.grace_seconds, service, lifeline, workers_end, voice.shared)
        begin: Callable[..., None] = fork_worker if forks else start_worker
        arguments: tuple[object, ...] = inherited if forks else handed
        if method == "forkserver":
            start_forkserver()
        self._executor = ProcessPoolExecutor(workers, get_context(method), begin, arguments)
        with workers_end:  # closed here, so that nobody waits for workers that are gone
            # The first task is what forks them, all at once; the others start for a task each,
            # as long as none is done.
            first = os.getpid if forks else wait_for_the_others
            tasks = [self._executor.submit(first) for _ in range(1 if forks else workers)]
        for _ in range(workers):
            self._channel.recv(1)  # "r": one of them is ready; or none, and no more will be
        if not forks:
            with suppress(OSError, BrokenProcessPool):  # they were killed: `serve` will say so
                for _ in range(workers):
                    self._channel.send(b"g")
                for task in tasks:  # or one would take a connection for its "g"
                    task.result()

    def serve(self, connection: socket.socket) -> None:
        """Hand a connection to the next worker that is free; BrokenProcessPool if none can be."""
        self._send(connection)
        task = self._executor.submit(serve_next)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(show_bug)

    def _send(self, connection: socket.socket) -> None:
        while True:
            try:
                socket.send_fds(self._channel, [b"c"], [connection.fileno()])
            except OSError as error:
                if error.errno in HUNG_UP:
                    raise BrokenProcessPool("The workers have hung up.") from error
                if error.errno != errno.ETOOMANYREFS:
                    raise
                # More descriptors are on their way than the user may have open in one process.
                # So the channel is full, and the others wait in the backlog.
                sleep(FULL_PAUSE_SECONDS)
            else:
                return

    def close(self) -> None:
        """Return when the workers have served what they have, or died, and no thread is left."""
        close(self._executor)
        self._channel.close()


def show_bug(task: Future[None]) -> None:
    """Let concurrent.futures log what a task has raised; a broken pool is no bug of ours."""
    if not isinstance(task.exception(), BrokenProcessPool):
        task.result()


class Worker:
    """What a worker process knows; set once in each, when it starts."""

    admission: Admission
    service: Service
    channel: socket.socket
    exhaustion: Episode


def fork_worker(
    listener: Listener,
    service: Service,
    lifeline: Lifeline,
    channel: socket.socket,
    parents_end: socket.socket,
) -> None:
    """Become a worker, forked: runs first in each of them."""
    lifeline.hold()
    parents_end.close()
    listener.leave_to_parent()
    begin_work(listener.admission, service, channel)


def start_worker(
    grace_seconds: float,
    service: Service,
    lifeline: Lifeline,
    channel: socket.socket,
    ration: Ration | None,
) -> None:
    """Become a worker, started anew: runs first in each of them."""
    sys.stderr = StandardError()
    voice.join(ration)
    stop = Stop(grace_seconds=grace_seconds)
    stop.on_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # see start_forkserver()
    lifeline.hold()
    begin_work(Admission(stop), service, channel)


def begin_work(admission: Admission, service: Service, channel: socket.socket) -> None:
    """Say that another worker runs."""
    Worker.admission, Worker.service, Worker.channel = admission, service, channel
    Worker.exhaustion = Episode()
    channel.send(b"r")


def wait_for_the_others() -> None:
    """Hold this worker until all have started: the pool starts none while one has nothing to do."""
    Worker.channel.recv(1)  # "g"


def start_forkserver() -> None:
    """Start multiprocessing's, which outlives a stop: it has to tell of the ends of the workers.

    It knows this file, so that the workers need not read it anew. A signal to the whole group waits
    in it for ever, and in the workers that it forks until they can follow it.
    """
    forkserver = import_module("multiprocessing.forkserver")
    import_module("multiprocessing.resource_tracker").ensure_running()  # which would unblock them
    forkserver.set_forkserver_preload([__name__])
    unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)


def serve_next() -> None:
    """Take the next connection from the channel and serve it to its end."""
    wait_for_a_descriptor()
    _, descriptors, _, _ = socket.recv_fds(Worker.channel, 1, 1)
    connection = socket.socket(fileno=descriptors[0])
    Worker.admission.adopt(connection)
    converse(connection, Worker.service.session())


def wait_for_a_descriptor() -> None:
    """Return when there is room for one: a connection that there is none for would be lost."""
    while True:
        try:
            os.close(os.dup(Worker.channel.fileno()))
        except OSError as error:
            Worker.exhaustion.say(f"cannot take a connection for now: {error.strerror}.")
            sleep(EXHAUSTED_PAUSE_SECONDS)
        else:
            return
