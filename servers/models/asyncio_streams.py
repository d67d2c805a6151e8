"""asyncio's streams on a loop that replaces its own; `asyncio` has them as they come.

Such a loop would take the listener's bare descriptor, so the connections are accepted before it.
"""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
from functools import partial

from servers.drivers.streams import converse
from servers.life.looping import loop_of, serve_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None], loop: str) -> None:
    """Serve until the listener stops and the connections have ended."""
    with asyncio.Runner(loop_factory=loop_of(loop)) as runner:
        runner.run(serve_all(listener, ready, partial(by_streams, service)))


async def by_streams(service: Service, connection: socket.socket) -> None:
    """Serve a connection by reading and writing: a task of its own."""
    reader, writer = await asyncio.open_connection(sock=connection)
    await converse(service, reader, writer)
