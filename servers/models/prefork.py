"""Processes started in advance, which accept for themselves; their parent accepts nothing.

Nobody hands connections out. As a rule all wait for the socket that they have inherited, and the
kernel wakes one of them for each connection, whoever has waited longest. With a socket each
(`own_sockets`, SO_REUSEPORT) it deals connections out by a hash, whether anybody is free there or
not. A process serves one connection at a time, or several at a time in as many threads
(`processes`): then it is these that accept. Or it has an event loop (`loop`) and serves whoever it
gets hold of: all loops are woken for a connection, and one of them has it. Processes that die are
replaced.

--max-connections holds over all processes. Where a worker serves one connection at a time, fewer
workers run; loops count together.
"""

from __future__ import annotations

__all__ = ["serve"]

from functools import partial
from importlib import import_module

from servers.drivers.blocking import converse
from servers.life.children import Children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(
    listener: Listener,
    service: Service,
    ready: Callable[[], None],
    workers: int,
    *,
    processes: int = 0,
    own_sockets: bool = False,
    loop: str = "",
) -> None:
    """Serve until the listener stops; the workers are spread over `processes`, or 0: one each."""
    work: Callable[..., None]
    if loop:
        processes = workers
        listener.admission.count_together(processes)
        work = loop_of(listener, service, loop)
    else:
        workers = listener.admission.workers_of(workers)
        processes = min(processes or workers, workers)
        work = partial(serve_at, listener, service, workers, processes)
    if own_sockets:
        listener.listen_times(processes)
    children = Children(listener)
    children.keep_working(processes, work, ready)
    children.wait()


def loop_of(listener: Listener, service: Service, library: str) -> Callable[..., None]:
    """Return what a process does that has a loop, with all imported before it is forked."""
    import_module(library)
    loops = import_module("servers.drivers.loops")

    def work(place: int, started: Callable[[], object]) -> None:
        listener.keep_only(place)
        loops.run(listener, service, started, library)

    return work


def serve_at(
    listener: Listener,
    service: Service,
    workers: int,
    processes: int,
    place: int,
    started: Callable[[], object],
) -> None:
    """Be one of the processes, that with this place among them."""
    listener.keep_only(place)
    here = len(range(place, workers, processes))  # of the workers
    if here == 1:
        started()
        accept_and_serve(listener, service)
    else:
        serve_with_threads(listener, service, here, started)


def serve_with_threads(
    listener: Listener, service: Service, count: int, started: Callable[[], object]
) -> None:
    """Have so many threads accept and serve."""
    from threading import Thread  # not in a process that has one

    threads = [Thread(target=accept_and_serve, args=(listener, service)) for _ in range(count)]
    for thread in threads:
        thread.start()
    started()
    for thread in threads:
        thread.join()


def accept_and_serve(listener: Listener, service: Service) -> None:
    """Serve one connection after another: what a worker does."""
    for connection in listener:
        converse(connection, service.session())
