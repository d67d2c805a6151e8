"""Callbacks from a loop over the standard library's selectors: one thread, no coroutine.

What is watched is registered anew whenever the events change, as selectors have it.
"""

from __future__ import annotations

__all__ = ["serve"]

from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from servers.drivers.reacting import READ, WRITE, Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.reacting import Watched
    from servers.life.listener import Listener
    from servers.service import Service


class Reactor(Timers):
    """Calls back what a selector says is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = DefaultSelector()

    def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
        """Have `action` called with what is ready."""
        wanted = (EVENT_READ if events & READ else 0) | (EVENT_WRITE if events & WRITE else 0)
        known = what.fileno() in self._selector.get_map()
        if not wanted:
            if known:
                self._selector.unregister(what)
        elif known:
            self._selector.modify(what, wanted, action)
        else:
            self._selector.register(what, wanted, action)

    def forget(self, what: Watched) -> None:
        """Watch it no more."""
        self.watch(what, 0, print)

    def run(self, listener: Listener) -> None:
        """Call back until the stop, and until no connection is left."""
        while not listener.stop.begun or self.connections:
            for key, ready in self._selector.select(self.seconds_left()):
                if key.fd in self._selector.get_map():  # else another's callback has closed it
                    both = (READ if ready & EVENT_READ else 0) | (
                        WRITE if ready & EVENT_WRITE else 0
                    )
                    key.data(both)
            self.fire()

    def close(self) -> None:
        """Let go of its descriptor."""
        self._selector.close()


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    reactor = Reactor()
    reactor.accept(listener, service)
    ready()
    reactor.run(listener)
