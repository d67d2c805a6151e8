"""A process per connection, forked when it is accepted."""

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


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops."""
    children = Children(listener)
    ready()
    for connection in listener:
        with connection:  # the parent's copy of it
            children.start(connection, partial(converse, connection, service.session()))
    children.wait()
