"""Processes started in advance, which accept for themselves; their parent accepts nothing.

Nobody hands connections out. As a rule all wait for the socket that they have inherited, and the
kernel wakes one of them for each connection, whoever has waited longest. With a socket each
(`own_sockets`, SO_REUSEPORT) it deals connections out by a hash, whether anybody is free there or
not. A process serves one connection at a time, or several at a time in as many threads
(`processes`): then it is these that accept. Those that die are replaced.

No more connections are open than there are workers, so with fewer allowed (--max-connections) fewer
workers run, and the limit holds over all of them.
"""

from __future__ import annotations

__all__ = ["serve"]

from functools import partial

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
) -> None:
    """Serve until the listener stops; the workers are spread over `processes`, or 0: one each."""
    workers = listener.admission.workers_of(workers)
    processes = min(processes or workers, workers)
    if own_sockets:
        listener.listen_times(processes)
    work = partial(serve_at, listener, service, workers, processes)
    children = Children(listener)
    children.keep_working(processes, work, ready)
    children.wait()


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
