"""epoll and nothing above it: the edge of what plain Python can do in one thread.

A connection is registered once, with its events, and looked up by its descriptor.
"""

from __future__ import annotations

__all__ = ["serve"]

import select

from servers.drivers.reacting import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.reacting import Watched
    from servers.life.listener import Listener
    from servers.service import Service


class Epoll(Timers):
    """Calls back what the kernel says is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._actions: dict[int, Callable[[int], object]] = {}

    def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
        """Have `action` called with what is ready."""
        descriptor = what.fileno()
        if descriptor in self._actions:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._actions[descriptor] = action

    def forget(self, what: Watched) -> None:
        """Watch it no more."""
        if self._actions.pop(what.fileno(), None):
            self._epoll.unregister(what.fileno())

    def run(self, listener: Listener) -> None:
        """Call back until the stop, and until no connection is left."""
        actions = self._actions
        while not listener.stop.begun or self.connections:
            left = self.seconds_left()
            # PyPy's takes no None; less than 0 is for ever in both.
            for descriptor, events in self._epoll.poll(-1 if left is None else left):
                if action := actions.get(descriptor):  # else another's callback has closed it
                    action(events)
            self.fire()

    def close(self) -> None:
        """Let go of its descriptor."""
        self._epoll.close()


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    epoll = Epoll()
    epoll.accept(listener, service)
    ready()
    epoll.run(listener)
