"""Processes started in advance, which accept from one socket and serve a connection at a time each.

Nobody hands connections out: all wait in accept() on the socket that they have inherited, and the
kernel wakes one of them for each connection, whoever has waited longest. Its parent accepts nothing
and replaces those that die. No more connections are open than there are workers, so with fewer
allowed (--max-connections) fewer workers run, and the limit holds over all of them.
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


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops."""
    children = Children(listener)
    workers = listener.admission.workers_of(workers)
    children.keep_working(workers, partial(accept_and_serve, listener, service), ready)
    children.wait()


def accept_and_serve(listener: Listener, service: Service) -> None:
    """Serve one connection after another: what a worker does."""
    for connection in listener:
        converse(connection, service.session())
