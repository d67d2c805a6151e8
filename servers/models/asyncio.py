"""The standard library's event loop, with its streams as they come: a task per connection."""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
import sys
from functools import partial

from servers.drivers.streams import converse
from servers.life.admission import EXHAUSTED
from servers.life.looping import stop_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from servers.life.listener import Listener
    from servers.service import Service


def serve(
    listener: Listener, service: Service, ready: Callable[[], None], *, eager: bool = False
) -> None:
    """Serve until the listener stops and the connections have ended."""
    asyncio.run(serve_connections(listener, service, ready, eager=eager))


async def serve_connections(
    listener: Listener, service: Service, ready: Callable[[], None], *, eager: bool
) -> None:
    """Serve until a signal comes and the connections have ended."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    if eager and sys.version_info >= (3, 12):  # as the row says that needs it
        loop.set_task_factory(asyncio.eager_task_factory)
    stop = stop_event(listener)
    server = await asyncio.start_server(
        partial(converse, service), sock=listener, backlog=listener.backlog
    )
    ready()
    await stop.wait()
    server.close()  # before the listener is shut: the loop would report the accept() that fails
    listener.stop.begin()
    conversations = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*conversations)


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Have asyncio log what went wrong, but for what the listener has already said."""
    if getattr(context.get("exception"), "errno", None) not in EXHAUSTED:
        loop.default_exception_handler(context)
