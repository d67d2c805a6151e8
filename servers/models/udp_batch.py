"""One thread, which takes all datagrams that have come before it answers the first.

recvmmsg() and sendmmsg(), which would do each in one call, Python does not have: it is still one
call for each datagram. What is left of the idea is that of a burst every datagram is out of the
kernel's buffer, which has room again, before any work is done.
"""

from __future__ import annotations

__all__ = ["serve"]

from servers.drivers.datagrams import exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.mailbox import Mailbox
    from servers.service import Service

MOST_IN_BATCH = 64


def serve(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the mailbox stops."""
    conversation = service.datagrams(listener.drops.count)
    ready()
    for first in listener:
        for datagram, address in [first, *listener.arrived(MOST_IN_BATCH - 1)]:
            exchange(listener, conversation, datagram, address)
