"""Processes with a socket each on one port: the kernel deals the datagrams out by their senders.

SO_REUSEPORT puts the sockets into a group, and a hash of both addresses says which of them gets a
datagram: so all datagrams of a sender go to one process, and few senders may all meet in one. The
parent opens the sockets and keeps them open. When a worker dies, the one in its place goes on with
what has been waiting in its socket.
"""

from __future__ import annotations

__all__ = ["serve"]

from functools import partial

from servers.drivers.datagrams import exchange
from servers.life.children import Children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.mailbox import Mailbox
    from servers.service import Service


def serve(listener: Mailbox, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the mailbox stops."""
    listener.receive_from(workers)
    children = Children(listener)
    children.keep_working(workers, partial(serve_at, listener, service), ready)
    children.wait()


def serve_at(
    listener: Mailbox, service: Service, place: int, started: Callable[[], object]
) -> None:
    """Be one of the processes, that with this place among them."""
    listener.keep_only(place)
    conversation = service.datagrams(listener.drops.count)
    started()
    for datagram, address in listener:
        exchange(listener, conversation, datagram, address)
