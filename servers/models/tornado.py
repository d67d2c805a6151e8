"""Tornado's IOLoop, whose handlers are called for sockets of our own.

Not its IOStream: that closes the connection at the peer's end, also under a reply, and a peer that
has ended its sending would lose answers.
"""

from __future__ import annotations

__all__ = ["Loop", "serve"]

from functools import partial

from tornado.ioloop import IOLoop

from servers.drivers.reacting import Timer, Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.reacting import Watched
    from servers.life.listener import Listener
    from servers.service import Service


class Loop(Timers):
    """Calls back what Tornado's loop says is ready; READ and WRITE are the same numbers there."""

    def __init__(self, is_stopping: Callable[[], bool]) -> None:
        super().__init__()
        self._is_stopping = is_stopping
        self._loop = IOLoop(make_current=False)
        self._watched: set[int] = set()

    def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
        """Have `action` called with what is ready."""
        descriptor = what.fileno()
        self.forget(what)
        if events:
            self._watched.add(descriptor)
            self._loop.add_handler(descriptor, partial(self._call, action), events)

    def forget(self, what: Watched) -> None:
        """Watch it no more."""
        descriptor = what.fileno()
        if descriptor in self._watched:
            self._watched.discard(descriptor)
            self._loop.remove_handler(descriptor)

    def call_later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Do something in so many seconds; 0: when the others have had their turn."""
        timer = Timer(action)
        if seconds:
            self._loop.call_later(seconds, self._fire, timer)
        else:
            self._loop.add_callback(self._fire, timer)
        return timer

    def _call(self, action: Callable[[int], object], _: object, events: int) -> None:
        action(events)
        self._look_for_the_end()

    def _fire(self, timer: Timer) -> None:
        if timer.action:
            timer.action()
        self._look_for_the_end()

    def _look_for_the_end(self) -> None:
        if self._is_stopping() and not self.connections:
            self._loop.stop()

    def run(self) -> None:
        """Call back until the stop, and until no connection is left."""
        self._loop.start()
        self._loop.close()


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    loop = Loop(lambda: listener.stop.begun)
    loop.accept(listener, service)
    ready()
    loop.run()
