"""One socket, one thread, one datagram after another: the others wait in the kernel's buffer."""

from __future__ import annotations

__all__ = ["serve"]

from servers.drivers.datagrams import exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.mailbox import Mailbox
    from servers.service import Service


def serve(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the mailbox stops."""
    conversation = service.datagrams(listener.drops.count)
    ready()
    for datagram, address in listener:
        exchange(listener, conversation, datagram, address)
