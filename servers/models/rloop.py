"""Callbacks of asyncio's protocols on rloop, a loop in Rust that is younger than its interface.

It takes no accepted socket, so it is told to connect with one that is connected. It takes the
descriptor away from that, and closes it only when 32 connections have ended: so it gets a copy, and
the end of a connection is sent by us, on our own.
"""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
import socket
from functools import partial

from servers.drivers.protocols import Conversing
from servers.life.looping import loop_of, serve_all
from servers.life.stopping import shut
from servers.models.asyncio_callbacks import by_callbacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


class ConversingOnCopy(Conversing):
    """A protocol whose transport has a copy of the connection's descriptor."""

    async def connect(self) -> None:
        """Begin: the loop makes a transport of a copy."""
        await self._loop.create_connection(lambda: self, sock=self._connection.dup())

    def connection_lost(self, error: Exception | None) -> None:
        """End the connection, whoever else has its descriptor still, and let go."""
        shut(self._connection, socket.SHUT_RDWR)
        self._connection.close()
        super().connection_lost(error)


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    converse = partial(by_callbacks, ConversingOnCopy, service)
    with asyncio.Runner(loop_factory=loop_of("rloop")) as runner:
        runner.run(serve_all(listener, ready, converse))
