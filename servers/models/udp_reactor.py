"""A loop of our own over a selector: one thread, one datagram for each time that there is one."""

from __future__ import annotations

__all__ = ["serve"]

import heapq
from itertools import count
from selectors import EVENT_READ, DefaultSelector
from time import monotonic, sleep

from servers.drivers.datagrams import Deferring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.mailbox import Mailbox
    from servers.service import Service


class Reactor:
    """Calls back when there is something to receive, and when a timer is due."""

    def __init__(self) -> None:
        self._selector = DefaultSelector()
        self._timers: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._numbers = count()  # break ties: functions have no order

    def call_later(self, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        """Do something in so many seconds."""
        timer = (monotonic() + seconds, next(self._numbers), action, arguments)
        heapq.heappush(self._timers, timer)

    def run(self, mailbox: Mailbox, received: Callable[..., None]) -> None:
        """Hand on one datagram for each time that there are any, until the stop."""
        self._selector.register(mailbox, EVENT_READ)
        while not mailbox.stop.begun:
            if self._selector.select(self._seconds_left()):
                for datagram, address in mailbox.arrived(1):
                    received(datagram, address)
            self._fire()
        for datagram, address in mailbox.arrived():
            received(datagram, address)
        while self._timers:
            sleep(self._seconds_left() or 0)
            self._fire()

    def _seconds_left(self) -> float | None:
        return max(0.0, self._timers[0][0] - monotonic()) if self._timers else None

    def _fire(self) -> None:
        while self._timers and self._timers[0][0] <= monotonic():
            _, _, action, arguments = heapq.heappop(self._timers)
            action(*arguments)


def serve(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the mailbox stops and what is under way has ended."""
    drop = listener.drops.count
    reactor = Reactor()
    requests = Deferring(service.datagrams(drop), listener.answer, reactor.call_later, drop)
    ready()
    reactor.run(listener, requests.received)
