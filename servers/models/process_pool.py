"""A fixed number of processes: a connection is a task, and waits until a process is free.

The accepted socket travels as a descriptor over a socket pair that the workers inherit; the task
itself says only "take the next one". Pickling the socket into the task would cost a thread and a
handshake for each connection, and leave the descriptors behind when the pool breaks. Needs fork().

When a worker is killed, concurrent.futures gives the whole pool up, and another takes its place. A
worker of that may be killed, too, before it is ready or has got anything: REBUILDS times at most
for one connection, which is then refused. The next one tries again.
"""

from __future__ import annotations

__all__ = ["serve"]

import errno
import gc
import os
import socket
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import active_children, get_context
from threading import enumerate as enumerate_threads
from threading import main_thread
from time import sleep

from servers.drivers.blocking import converse
from servers.life.notices import Episode
from servers.life.parent import Lifeline
from servers.life.stopping import CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from servers.life.listener import Listener
    from servers.service import Service

HUNG_UP = {errno.EPIPE, errno.ECONNRESET, errno.EBADF}
"""What sending to a pool says that has lost its workers, or that has been closed."""
REBUILDS = 3
THREAD_SECONDS = 1.0
"""How long a thread of a broken executor is waited for: its queue has no reader, so it ends."""
FULL_PAUSE_SECONDS = 0.01
"""How long it can go unnoticed that a worker has taken a connection from a full channel."""
EXHAUSTED_PAUSE_SECONDS = 0.05


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops."""
    listener.stop.children = worker_pids
    lifeline = Lifeline()
    start = partial(Pool, listener, service, workers, lifeline)
    try:
        pool = start()
    except OSError as error:
        end_workers()
        raise CannotStart(f"Cannot start {workers} workers: {error.strerror}.") from error
    ready()
    for connection in listener:
        with connection:  # the parent's copy of it
            try:
                pool = serve_with(pool, start, connection)
            except OSError as error:  # the machine's; the next connection tries again
                end_workers()
                listener.admission.refuse(connection, f"No workers can start ({error.strerror})")
            except BrokenProcessPool:
                listener.admission.refuse(connection, "Workers are killed as soon as they start")
    pool.close()


def serve_with(pool: Pool, start: Callable[[], Pool], connection: socket.socket) -> Pool:
    """Hand a connection to the pool or to one in its place, and return that one.

    OSError when the workers cannot start, BrokenProcessPool when they do not live.
    """
    for _ in range(REBUILDS):
        with suppress(BrokenProcessPool):
            pool.serve(connection)
            return pool
        pool.close()  # waits for its threads, too: with none left it is safe to fork
        gc.collect()  # its pipes are in circles, and the new workers would inherit them
        pool = start()
    pool.serve(connection)
    return pool


def end_workers() -> None:
    """End those that did start of a pool that could not."""
    for worker in active_children():
        worker.kill()
        worker.join()


def worker_pids() -> Iterable[int]:
    """Return the process ids of the workers that live."""
    return [worker.pid for worker in active_children() if worker.pid is not None]


class Pool:
    """One generation of workers, and the channel over which connections reach them.

    The connections that its workers served or that were on their way to them end with it.
    """

    def __init__(
        self, listener: Listener, service: Service, workers: int, lifeline: Lifeline
    ) -> None:
        """Start the workers and return when all of them run; OSError when they cannot.

        If one is killed before it runs, the pool is a broken one: `serve` will say so.
        """
        self._under_way: set[Future[None]] = set()
        listener.admission.elsewhere = self._under_way.__len__
        self._channel, workers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._executor = ProcessPoolExecutor(
            workers,
            get_context("fork"),
            start_worker,
            (listener, service, lifeline, workers_end, self._channel),
        )
        with workers_end:  # closed here, so that sending fails when all the workers are gone
            self._executor.submit(os.getpid)  # the first task is what starts them, all at once
        for _ in range(workers):
            self._channel.recv(1)  # "r": one of them is ready; or none, and no more will be

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
        self._executor.shutdown()
        for thread in enumerate_threads():  # for that of its queue a broken executor does not wait
            if thread is not main_thread():
                thread.join(THREAD_SECONDS)
        self._channel.close()


def show_bug(task: Future[None]) -> None:
    """Let concurrent.futures log what a task has raised; a broken pool is no bug of ours."""
    if not isinstance(task.exception(), BrokenProcessPool):
        task.result()


class Worker:
    """What a worker process knows; set once in each, when it starts."""

    listener: Listener
    service: Service
    channel: socket.socket
    exhaustion: Episode


def start_worker(
    listener: Listener,
    service: Service,
    lifeline: Lifeline,
    channel: socket.socket,
    parents_end: socket.socket,
) -> None:
    """Become a worker: runs first in each of them."""
    lifeline.hold()
    parents_end.close()
    listener.leave_to_parent()
    Worker.listener, Worker.service, Worker.channel = listener, service, channel
    Worker.exhaustion = Episode()
    channel.send(b"r")


def serve_next() -> None:
    """Take the next connection from the channel and serve it to its end."""
    wait_for_a_descriptor()
    _, descriptors, _, _ = socket.recv_fds(Worker.channel, 1, 1)
    connection = socket.socket(fileno=descriptors[0])
    Worker.listener.admission.adopt(connection)
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
