"""Threads started in advance, which accept from one socket and serve a connection at a time each.

Nobody hands connections out: all threads wait in accept(), and the kernel wakes one of them for
each connection. (W. Richard Stevens, UNIX Network Programming, chapter 30: "prethreaded server".)
"""

from __future__ import annotations

__all__ = ["serve"]

from threading import Thread

from servers.drivers.blocking import converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops."""
    workers = listener.admission.workers_of(workers)
    threads = [Thread(target=accept_and_serve, args=(listener, service)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def accept_and_serve(listener: Listener, service: Service) -> None:
    """Serve one connection after another: what a thread does."""
    for connection in listener:
        converse(connection, service.session())
