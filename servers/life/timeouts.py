"""How long a server waits for a peer, and the count of the peers that took longer.

    idle    no whole frame has arrived for so long: ERROR TIMEOUT, and a close
    write   the peer has taken no byte for so long: a reset, for a frame may have been cut

How a driver waits is its own affair: the kernel and poll() for a blocking socket, a sweep for the
scheduler, a timer for asyncio. When it has waited for too long is said here, once: `Idle` and
`Stuck` are asked how long a driver may go on waiting, and raise. They look at the clock and never
add up how long each wait was, so it does not matter how often a wait is interrupted or begun anew,
and whether a frame that never ends comes by the byte.

The count is one for all processes: a child adds to it and the server that forked it
tells the sum when it stops.
"""

from __future__ import annotations

__all__ = [
    "LEAST_SECONDS",
    "LOOKS",
    "Idle",
    "Stuck",
    "Timeouts",
    "reset_at_close",
]

import socket
import sys
from contextlib import suppress
from struct import Struct
from time import monotonic

from servers.life.counter import Counter
from servers.life.notices import say
from servers.steps import IdlePeer, StuckPeer

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = (IdlePeer, StuckPeer)
LEAST_SECONDS = 0.01
"""A timeout below this would be shorter than the time in which a server notices it."""
LOOKS = 4
"""How often, in the time that a peer has, it is looked whether it has taken a byte."""
LINGER = Struct("ii")
BYTES_ACKED = 120
"""Where Linux has tcpi_bytes_acked, of 8 bytes, in its struct tcp_info."""


class Timeouts:
    """The two timeouts in seconds, 0 for none; true if there is any."""

    def __init__(self, idle: float = 0, write: float = 0) -> None:
        self.idle = idle
        self.write = write
        self._counts = {fault: Counter() for fault in FAULTS} if self else {}

    def __bool__(self) -> bool:
        return bool(self.idle or self.write)

    def count(self, fault: type[IdlePeer | StuckPeer], connection: socket.socket) -> None:
        """Count what a peer did, and say it."""
        self._counts[fault].add(1)
        say(
            f"{address_of(connection)} took no byte for {self.write:g} s: reset."
            if fault is StuckPeer
            else f"{address_of(connection)} sent no whole frame for {self.idle:g} s: closed."
        )

    def sum_up(self) -> None:
        """Say how many there were, if any, since this was last asked."""
        idle, stuck = self._sums() or (0, 0)
        if idle or stuck:
            say(f"{idle} connections closed by --idle-timeout, {stuck} reset by --write-timeout.")

    def _sums(self) -> list[int]:
        return [count.take() for count in self._counts.values()]


class Idle:
    """Waits for a whole frame, so many seconds from the service of the last one; 0: for ever."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self.since = clock()

    def restart(self) -> None:
        """Give the peer all its time again, for a frame has come and been served."""
        self.since = self._clock()

    def left(self) -> float | None:
        """Return the seconds that the peer still has, None for any number; IdlePeer if none."""
        if not self.seconds:
            return None
        left = self.since + self.seconds - self._clock()
        if left <= 0:
            raise IdlePeer
        return left


class Stuck:
    """Waits for room to send, until the peer has taken no byte for so many seconds; 0: for ever.

    Whether there is room does not tell: the kernel says so only once a third of its buffer is
    free, which a slow peer may take longer for than it may take for a byte.
    """

    def __init__(
        self, seconds: float, connection: socket.socket, clock: Callable[[], float] = monotonic
    ) -> None:
        self._seconds = seconds
        self._connection = connection
        self._clock = clock
        self._since = clock()
        self._taken = bytes_taken(connection) if seconds else 0

    def left(self) -> float | None:
        """Return the seconds after which to ask again, None for never; StuckPeer if it is."""
        if not self._seconds:
            return None
        now = self._clock()
        taken = bytes_taken(self._connection)
        if taken != self._taken:
            self._taken = taken
            self._since = now
        left = self._since + self._seconds - now
        if left <= 0:
            raise StuckPeer
        return min(left, self._seconds / LOOKS)


def address_of(connection: socket.socket) -> str:
    """Return the peer's address for a reader."""
    try:
        host, port = connection.getpeername()[:2]
    except (OSError, ValueError):  # it has gone, or is no peer of a network
        return "A peer that has gone"
    return f"{host}:{port}"


def bytes_taken(connection: socket.socket) -> int:
    """Return how many bytes the peer has acknowledged: what is left to send does not tell."""
    information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED + 8)
    return int.from_bytes(information[BYTES_ACKED:], sys.byteorder)


def reset_at_close(connection: socket.socket) -> None:
    """Have the close be a reset: bytes that have not gone are thrown away, and the peer sees it."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
