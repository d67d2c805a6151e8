"""One process, one thread, one connection at a time: the others wait in the backlog."""

from __future__ import annotations

__all__ = ["serve"]

from servers.drivers.blocking import converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops."""
    ready()
    for connection in listener:
        converse(connection, service.session())
