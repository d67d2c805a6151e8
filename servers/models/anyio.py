"""anyio: a task per connection in one task group, on asyncio, of which anyio is a layer here.

asyncio's transport owns the socket under anyio's stream, and nobody else may wait for that one.
What is waited for beside the stream (room to send with a timeout, the peer's last bytes) is
therefore waited for on a copy of the descriptor, which is made where it is needed.
"""

from __future__ import annotations

__all__ = ["ANYIO", "conversing", "serve"]

from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import SocketStream

from servers.drivers.awaiting import Runtime, accept_all, converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    from servers.drivers.awaited import Programs
    from servers.life.listener import Listener
    from servers.service import Service


async def receive(stream: SocketStream, most_bytes: int) -> bytes:
    """Receive from a stream; nothing at the peer's end."""
    try:
        return await stream.receive(most_bytes)
    except anyio.EndOfStream:
        return b""


async def send(stream: SocketStream, data: bytes) -> None:
    """Send all of it."""
    await stream.send(data)


async def on_copy(
    wait: Callable[[socket.socket], Awaitable[None]], connection: socket.socket
) -> None:
    """Wait for a connection that a transport owns."""
    with connection.dup() as copy:
        await wait(copy)


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Raise TimeoutError when so many seconds have passed."""
    with anyio.fail_after(seconds):
        yield


def programs() -> Programs:
    """Return how programs are run: anyio's own would wait for the end of their pipes."""
    from servers.drivers.awaited import ASYNCIO  # with what few servers need

    return ASYNCIO


ANYIO = Runtime(
    lambda stream: stream,
    receive,
    send,
    anyio.sleep,
    partial(on_copy, anyio.wait_readable),
    partial(on_copy, anyio.wait_writable),
    within,
    anyio.BrokenResourceError,
    programs,
)


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    anyio.run(serve_connections, listener, service, ready)


async def serve_connections(
    listener: Listener, service: Service, ready: Callable[[], None]
) -> None:
    """Serve until the listener stops and the connections have ended."""
    ready()  # an error of it would be wrapped in a group
    async with anyio.create_task_group() as tasks:
        accepting = ANYIO._replace(readable=anyio.wait_readable)  # nobody else has the listener
        await accept_all(listener, accepting, partial(spawn, tasks, service))


def spawn(tasks: anyio.abc.TaskGroup, service: Service, connection: socket.socket) -> None:
    """Have a task of its own serve a connection."""
    tasks.start_soon(conversing, service, connection)


async def conversing(service: Service, connection: socket.socket) -> None:
    """Serve a connection."""
    try:
        stream = await SocketStream.from_socket(connection)
    except ValueError:  # it is not connected any more
        connection.close()
        return
    runtime = ANYIO._replace(wrap=lambda _: stream)
    try:
        await converse(connection, service.session(), runtime)
    finally:
        # The socket is closed by now; of the transport nothing is left but to be told.
        await stream.aclose()
