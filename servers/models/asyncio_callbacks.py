"""Callbacks of asyncio's protocols, on asyncio's own loop or on a library's that replaces it."""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
from functools import partial

from servers.drivers.protocols import Conversing, ConversingBuffered
from servers.life.looping import loop_of, serve_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(
    listener: Listener,
    service: Service,
    ready: Callable[[], None],
    loop: str = "asyncio",
    *,
    buffered: bool = False,
) -> None:
    """Serve until the listener stops and the connections have ended.

    With `buffered` the transport receives into a buffer of the protocol's.
    """
    converse = partial(by_callbacks, ConversingBuffered if buffered else Conversing, service)
    with asyncio.Runner(loop_factory=loop_of(loop)) as runner:
        runner.run(serve_all(listener, ready, converse))


async def by_callbacks(
    protocol: type[Conversing], service: Service, connection: socket.socket
) -> None:
    """Serve a connection by callbacks; the task sleeps until it is over."""
    over = asyncio.get_running_loop().create_future()
    await protocol(service, connection, partial(over.set_result, None)).connect()
    await over
