"""The standard library's event loop, with a DatagramProtocol: a callback per datagram."""

from __future__ import annotations

__all__ = ["serve"]

import asyncio

from servers.datagrams import UNSENT
from servers.drivers.datagrams import Deferring
from servers.life.looping import stop_event
from servers.life.mailbox import MOST_AFTER_STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from servers.life.mailbox import Mailbox
    from servers.service import Service

LOOK_SECONDS = 0.01
"""How long it can go unnoticed, after a stop, that the last request under way has ended."""


class Protocol(asyncio.DatagramProtocol):
    """Answers the datagrams of a socket, until it is told to ignore them."""

    def __init__(self, listener: Mailbox, service: Service) -> None:
        self._mailbox = listener
        self._conversation = service.datagrams(listener.drops.count)
        self._is_full = False
        self._requests: Deferring | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know where to send."""
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # it is one, but by no class
        loop = asyncio.get_running_loop()
        self._requests = Deferring(
            self._conversation, self._send, loop.call_later, self._mailbox.drops.count
        )

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer it."""
        if self._requests is not None:
            self._requests.received(data, addr)

    def _send(self, answer: bytes, address: Any) -> None:
        if self._is_full:
            self._mailbox.drops.count(UNSENT)
        else:
            self._transport.sendto(answer, address)

    def pause_writing(self) -> None:
        """Send nothing more for now: the transport would keep all of it."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Send again."""
        self._is_full = False

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - the loop passes it
        """Count an answer that the kernel would not take."""
        self._mailbox.drops.count(UNSENT)

    async def end(self) -> None:
        """Answer what has come, and all that is under way; what comes after that is nobody's."""
        for _ in range(MOST_AFTER_STOP):
            if not self._mailbox.has_more():
                break
            await asyncio.sleep(0)  # a round of the loop takes one datagram
        requests, self._requests = self._requests, None
        while requests and requests.waiting:
            await asyncio.sleep(LOOK_SECONDS)


def serve(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the mailbox stops and what is under way has ended."""
    asyncio.run(serve_datagrams(listener, service, ready))


async def serve_datagrams(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until a signal comes and what is under way has ended."""
    stop = stop_event(listener)
    listener.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Protocol(listener, service), sock=listener
    )
    ready()
    await stop.wait()
    await protocol.end()
    transport.close()
    listener.stop.begin()
