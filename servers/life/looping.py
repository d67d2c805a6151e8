"""Accepting and stopping on an event loop with asyncio's interface, whosever loop it is."""

from __future__ import annotations

__all__ = ["accept_all", "loop_of", "serve_all", "stop_event"]

import asyncio
from functools import partial
from importlib import import_module

from servers.life.listener import SHUT

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from typing import Any

    from servers.life.listener import Listener
    from servers.life.mailbox import Mailbox

MOST_AT_ONCE = 64
"""Connections accepted before the others on the loop have their turn."""


def loop_of(library: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop, of asyncio itself or of a library that replaces its loop."""
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module(library).new_event_loop
    return factory


async def serve_all(
    listener: Listener,
    ready: Callable[[], None],
    converse: Callable[[socket.socket], Coroutine[Any, Any, None]],
) -> None:
    """Serve each connection in a task, until a signal comes and all of them have ended."""
    stop = stop_event(listener)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(connection: socket.socket) -> None:
        task = asyncio.create_task(converse(connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    accept_all(listener, spawn)
    ready()
    await stop.wait()
    asyncio.get_running_loop().remove_reader(listener.fileno())
    listener.stop.begin()
    while tasks:
        await asyncio.wait(tasks)


def stop_event(listener: Listener | Mailbox) -> asyncio.Event:
    """Return an event of the running loop that SIGTERM and SIGINT set."""
    # Not loop.add_signal_handler(): a busy loop would not even begin to count the grace.
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def begin() -> None:
        if not loop.is_closed():  # else the serving has ended before this signal
            loop.call_soon_threadsafe(event.set)

    listener.stop.on_signals(begin)
    return event


def accept_all(listener: Listener, serve: Callable[[socket.socket], object]) -> None:
    """Have the running loop accept connections from now on, and call `serve` with each.

    The loop's own way would take the bare descriptor: whom it accepts there nobody could refuse,
    set up or stop.
    """
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    loop.add_reader(listener.fileno(), accept_ready, loop, listener, serve)


def accept_ready(
    loop: asyncio.AbstractEventLoop, listener: Listener, serve: Callable[[socket.socket], object]
) -> None:
    """Accept whoever waits, or come back later."""
    for _ in range(MOST_AT_ONCE):
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if listener.stop.begun:
                return
            if error.errno == SHUT:  # by the process that it is shared with: a stop is on its way
                loop.remove_reader(listener.fileno())
            elif pause_seconds := listener.admission.pause_after(error):
                loop.remove_reader(listener.fileno())
                loop.call_later(pause_seconds, partial(resume, listener, serve))
            return
        connection.setblocking(False)
        serve(connection)


def resume(listener: Listener, serve: Callable[[socket.socket], object]) -> None:
    """Accept again, unless the stop has come meanwhile."""
    if not listener.stop.begun:
        accept_all(listener, serve)
