"""asyncio's loop, asked for what sockets have (loop.sock_recv, loop.sock_sendall)."""

from __future__ import annotations

__all__ = ["serve", "sockets_of"]

import asyncio
from functools import partial

from servers.drivers.awaiting import Runtime, converse
from servers.life.looping import serve_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from servers.drivers.awaited import Programs
    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    asyncio.run(serve_all(listener, ready, partial(by_sockets, service)))


async def by_sockets(service: Service, connection: socket.socket) -> None:
    """Serve a connection: a task of its own."""
    await converse(connection, service.session(), sockets_of(asyncio.get_running_loop()))


def sockets_of(loop: asyncio.AbstractEventLoop) -> Runtime:
    """Return how a loop waits for sockets."""
    return Runtime(
        lambda connection: connection,
        loop.sock_recv,
        loop.sock_sendall,
        asyncio.sleep,
        partial(until, loop, loop.add_reader, loop.remove_reader),
        partial(until, loop, loop.add_writer, loop.remove_writer),
        asyncio.timeout,
        (),
        programs,
    )


def programs() -> Programs:
    """Return how asyncio runs programs."""
    from servers.drivers.awaited import ASYNCIO  # with what few servers need

    return ASYNCIO


async def until(
    loop: asyncio.AbstractEventLoop,
    add: Callable[..., None],
    remove: Callable[[socket.socket], bool],
    sock: socket.socket,
) -> None:
    """Wait until a socket can be received from, or sent to."""
    ready = loop.create_future()
    add(sock, partial(wake, ready))
    try:
        await ready
    finally:
        remove(sock)


def wake(ready: asyncio.Future[None]) -> None:
    """Let whoever waits go on; the loop may call more than once."""
    if not ready.done():
        ready.set_result(None)
