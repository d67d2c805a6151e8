"""An asyncio loop per thread: one thread accepts, and hands each connection to the next loop."""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
from itertools import cycle
from threading import Barrier, Thread

from servers.drivers.loops import Conversations
from servers.life.stopping import CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops and the connections have ended."""
    running = Barrier(workers + 1)
    loops = [Loop(service, running) for _ in range(workers)]
    try:
        for loop in loops:
            loop.start()
    except RuntimeError as error:
        running.abort()
        raise CannotStart(f"Cannot start {workers} threads: {error}.") from error
    running.wait()
    try:
        ready()
        for connection, loop in zip(listener, cycle(loops), strict=False):
            loop.hand(connection)
    finally:  # also when nobody hears that it is ready: the threads would keep the process
        for loop in loops:
            loop.end()


class Loop(Thread):
    """A thread with a loop of its own."""

    def __init__(self, service: Service, running: Barrier) -> None:
        super().__init__()
        self._service = service
        self._running = running

    def run(self) -> None:
        """Run the loop until the end has been asked for."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_ending = asyncio.Event()
        self._conversations = Conversations(self._service)
        self._running.wait()
        await self._is_ending.wait()
        await self._conversations.all_over()

    def hand(self, connection: socket) -> None:
        """Have the loop serve a connection; from another thread."""
        connection.setblocking(False)
        self._loop.call_soon_threadsafe(self._conversations.begin, connection)

    def end(self) -> None:
        """Return when the loop's connections have ended, and the thread with them."""
        self._loop.call_soon_threadsafe(self._is_ending.set)
        self.join()
