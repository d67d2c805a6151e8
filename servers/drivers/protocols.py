"""The conversation as asyncio's protocols, for any loop that has asyncio's interface."""

from __future__ import annotations

__all__ = ["Conversing", "ConversingBuffered", "has_sendfile"]

import asyncio

from servers.drivers import RECEIVE_BYTES
from servers.drivers.callbacks import Conversation
from servers.life.timeouts import reset_at_close
from servers.steps import CutShort

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from servers.service import Service
    from servers.steps import Run, SendFile


def has_sendfile(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop can have the kernel send a file; uvloop's cannot."""
    return type(loop).sendfile is not asyncio.AbstractEventLoop.sendfile


class Conversing(Conversation, asyncio.Protocol):
    """A protocol that is handed what has been received."""

    def __init__(
        self, service: Service, connection: socket.socket, over: Callable[[], object]
    ) -> None:
        """Serve `connection`, which does not block, in the running loop; call `over` at its end."""
        self._service = service
        self._connection = connection
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._has_room = True
        self._sending: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None  # what a program under way may wait for

    async def connect(self) -> None:
        """Begin: the loop makes a transport of the connection."""
        await self._loop.connect_accepted_socket(lambda: self, self._connection)

    @property
    def socket(self) -> socket.socket:
        """The connection's socket, which is ours: a transport may have but something like it."""
        return self._connection

    def connection_made(self, transport: Any) -> None:
        """Begin; the transport is asyncio's or has at least its interface."""
        self._transport: asyncio.Transport = transport
        self.begin(self._service.session())

    def connection_lost(self, _: Exception | None) -> None:
        """Let go."""
        if self._sending:
            self._sending.cancel()
        self.lost()
        if self._running:  # until the program has ended
            self._running.cancel()
            self._running.add_done_callback(lambda _: self._over())
        else:
            self._over()

    data_received = Conversation.received

    def eof_received(self) -> bool:
        """Keep the other direction open."""
        self.ended()
        return True

    def pause_writing(self) -> None:
        """Learn that the transport has enough to send."""
        self._has_room = False

    def resume_writing(self) -> None:
        """Go on."""
        self._has_room = True
        if self._room and not self._room.done():
            self._room.set_result(None)
        self.resumed()

    def send(self, data: bytes) -> bool:
        """See `Conversation`."""
        self._transport.write(data)
        return self._has_room

    def send_file(self, step: SendFile) -> None:
        """Have the kernel send it where the loop can."""
        if has_sendfile(self._loop):
            self._sending = self._loop.create_task(self._send_by_kernel(step))
        else:
            super().send_file(step)

    async def _send_by_kernel(self, step: SendFile) -> None:
        try:
            sent = await self._loop.sendfile(
                self._transport, step.file, step.offset, step.count, fallback=False
            )
        except (asyncio.SendfileNotAvailableError, OSError):
            sent = -1  # the file cannot be read, or the peer has gone: both end so
        self._sending = None
        if sent < step.count:
            self.failed(CutShort)
        else:
            self.file_sent()

    def run(self, step: Run) -> None:
        """See `Conversation`."""
        self._running = self._loop.create_task(self._run_program(step))

    async def _run_program(self, step: Run) -> None:
        from servers.drivers import awaited  # with what few servers need

        await awaited.run_program(step, self._send_and_wait, awaited.ASYNCIO)
        self._running = None
        self.ran()

    async def _send_and_wait(self, data: bytes) -> None:
        """Send `data`, and return when there is room for more."""
        if not self.send(data):
            self._watch_for_room()
            self._room = self._loop.create_future()
            await self._room

    def send_end(self) -> None:
        """See `Conversation`."""
        self._transport.write_eof()

    def pause_receiving(self) -> None:
        """See `Conversation`."""
        self._transport.pause_reading()

    def resume_receiving(self) -> None:
        """See `Conversation`."""
        self._transport.resume_reading()

    def call_later(self, seconds: float, action: Callable[[], None]) -> asyncio.Handle:
        """See `Conversation`."""
        if not seconds:
            return self._loop.call_soon(action)
        return self._loop.call_later(seconds, action)

    def reset(self) -> None:
        """See `Conversation`."""
        reset_at_close(self._connection)
        self._transport.abort()

    def close(self) -> None:
        """See `Conversation`."""
        self._transport.close()


class ConversingBuffered(Conversing, asyncio.BufferedProtocol):
    """A protocol that has the transport receive into one buffer of its own, again and again."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        super().connection_made(transport)

    def get_buffer(self, _: int) -> memoryview:
        """Return where to receive to."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Serve what has come."""
        self.received(bytes(self._buffer[:count]))
