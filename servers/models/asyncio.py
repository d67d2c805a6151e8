"""The standard library's event loop, with its streams as they come: a task per connection."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from functools import partial

from servers.blocking import DRAIN_SECONDS, RECEIVE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    asyncio.run(serve_connections(listener, service, ready))


async def serve_connections(
    listener: Listener, service: Service, ready: Callable[[], None]
) -> None:
    """Serve until a signal comes and the connections have ended."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not loop.add_signal_handler(): a busy loop would not even begin to count the grace.
    listener.stop_on_signals(partial(loop.call_soon_threadsafe, stop.set))
    server = await asyncio.start_server(
        partial(converse, service), sock=listener, backlog=listener.backlog
    )
    ready()
    await stop.wait()
    server.close()  # before the listener is shut: the loop would report the accept() that fails
    listener.stop()
    conversations = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*conversations)


async def converse(service: Service, reader: StreamReader, writer: StreamWriter) -> None:
    """Serve one connection to its end, as servers/blocking.py does, and close it."""
    session = service.session()
    try:
        while not session.closing and (data := await reader.read(RECEIVE_BYTES)):
            for step in session.receive(data):
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await asyncio.sleep(step.seconds)
        if session.closing:
            await take_leave(reader, writer)
        writer.close()
        await writer.wait_closed()  # until everything is sent
    except OSError:
        writer.close()  # the peer's affair, and the connection is over


async def take_leave(reader: StreamReader, writer: StreamWriter) -> None:
    """Send the end, and wait for the peer's, but not for long."""
    writer.write_eof()
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reader.read(RECEIVE_BYTES):
                pass
    except TimeoutError:
        pass
