"""Serving on an event loop with asyncio's interface: a task per connection, on streams."""

from __future__ import annotations

__all__ = ["Conversations", "run"]

import asyncio
import socket
from importlib import import_module

from servers.drivers.streams import converse
from servers.life.looping import accept_all, stop_event

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def run(
    listener: Listener, service: Service, ready: Callable[[], object], library: str = ""
) -> None:
    """Serve until the listener stops and the connections have ended, on a library's loop if any."""
    factory = import_module(library).new_event_loop if library else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve_connections(listener, service, ready))


async def serve_connections(
    listener: Listener, service: Service, ready: Callable[[], object]
) -> None:
    """Serve until a signal comes and the connections have ended."""
    stop, conversations = stop_event(listener), Conversations(service)
    if not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
        await open_a_stream()
    accept_all(listener, conversations.begin)
    ready()
    await stop.wait()
    asyncio.get_running_loop().remove_reader(listener.fileno())
    listener.stop.begin()
    await conversations.all_over()


async def open_a_stream() -> None:
    """Have a library's loop open what it keeps from its first stream on, before it is ready.

    libuv keeps a descriptor of /dev/null. Of several processes one might have it, another not.
    """
    ours, other = socket.socketpair()
    with other:
        _, writer = await asyncio.open_connection(sock=ours)
        writer.close()
        await writer.wait_closed()


class Conversations:
    """The tasks of a loop's connections: asyncio itself would hold them weakly."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, connection: socket.socket) -> None:
        """Have a task serve a connection that does not block; in the loop's thread."""
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await converse(self._service, reader, writer)

    async def all_over(self) -> None:
        """Return when they have ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)
