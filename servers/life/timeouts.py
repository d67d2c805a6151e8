"""How long a server waits for a peer, and the count of the peers that took longer.

    idle    no whole frame has arrived for so long: ERROR TIMEOUT, and a close
    write   the peer has taken no byte for so long: a reset, for a frame may have been cut

How a model waits is its own affair: the kernel counts for a blocking socket, a sweep for the
scheduler, a timer for asyncio. Here is what they share. A frame that comes a byte at a time wakes
all of them in time; `Timeouts.still_waiting` bounds it, and is asked only when what was received
completed nothing.

The count is an eventfd, one for all processes: a child adds to it and the server that forked it
tells the sum when it stops.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from _thread import get_native_id
from contextlib import suppress
from struct import Struct
from time import monotonic

from servers.life.notices import say
from servers.protocol import ERROR, IdleError, frame

SLICE_SECONDS = 0.1
TIMEVAL = Struct("ll")
LINGER = Struct("ii")
BYTES_ACKED = 120
"""Where Linux has tcpi_bytes_acked, of 8 bytes, in its struct tcp_info."""


class IdlePeer(OSError):  # noqa: N818 - it says who is at fault
    """No whole frame has arrived in time."""


class StuckPeer(OSError):  # noqa: N818 - it says who is at fault
    """The peer has taken no byte in time."""


FAULTS = (IdlePeer, StuckPeer)
FLAGS = os.EFD_NONBLOCK | os.EFD_CLOEXEC


class Timeouts:
    """The two timeouts in seconds, 0 for none; true if there is any."""

    def __init__(self, idle: float = 0, write: float = 0) -> None:
        self.idle = idle
        self.write = write
        self._counts = {fault: os.eventfd(0, FLAGS) for fault in FAULTS} if self else {}

    def __bool__(self) -> bool:
        return bool(self.idle or self.write)

    def set_on(self, connection: socket.socket) -> None:
        """Have the kernel count for a blocking socket, which stays one: no call is added.

        Its calls then fail with EAGAIN, which is BlockingIOError.
        """
        for option, seconds in (
            (socket.SO_RCVTIMEO, self.idle),
            (socket.SO_SNDTIMEO, self.write),
        ):
            whole, fraction = divmod(round(kernel_waits(seconds) * 1e6), 1_000_000)
            connection.setsockopt(socket.SOL_SOCKET, option, TIMEVAL.pack(whole, fraction))

    def still_waiting(self, since: float, waited: float = 0.0) -> float:
        """Return since when a frame is waited for, `waited` ago if `since` is 0; or IdlePeer."""
        return checked(since, waited, self.idle, IdlePeer) if self.idle else 0

    def still_stuck(self, since: float, waited: float) -> float:
        """Return since when the peer takes nothing, `waited` ago if `since` is 0; or StuckPeer."""
        return checked(since, waited, self.write, StuckPeer)

    def last_words(self) -> bytes:
        """Return what an idle peer is told."""
        sentence = f"No whole frame has arrived for {self.idle:g} s."
        return frame(ERROR, 0, IdleError(sentence).body())

    def count(self, fault: IdlePeer | StuckPeer, connection: socket.socket) -> None:
        """Count what a peer did, and say it."""
        os.eventfd_write(self._counts[type(fault)], 1)
        say(
            f"{address_of(connection)} took no byte for {self.write:g} s: reset."
            if isinstance(fault, StuckPeer)
            else f"{address_of(connection)} sent no whole frame for {self.idle:g} s: closed."
        )

    def sum_up(self) -> None:
        """Say how many there were, if any, since this was last asked."""
        idle, stuck = self._sums() or (0, 0)
        if idle or stuck:
            say(f"{idle} connections closed by --idle-timeout, {stuck} reset by --write-timeout.")

    def _sums(self) -> list[int]:
        return [taken_from(descriptor) for descriptor in self._counts.values()]


NO_TIMEOUTS = Timeouts()


def checked(since: float, waited: float, most: float, fault: type[OSError]) -> float:
    """Return `since`, or the time that is `waited` ago if it is 0; raise if it is `most` ago."""
    now = monotonic()
    since = since or now - waited
    if now - since >= most:
        raise fault
    return since


def kernel_waits(seconds: float) -> float:
    """Return how long the kernel is to wait at a time, of the seconds that a peer has.

    Every signal that interrupts a blocking call makes the kernel count anew. In the main thread
    the pulse of servers/life/listener.py would always come first, so there it waits less than that.
    """
    _, pulse_seconds = signal.getitimer(signal.ITIMER_REAL)
    is_main_thread = get_native_id() == os.getpid()
    return min(seconds, SLICE_SECONDS) if pulse_seconds and is_main_thread else seconds


def taken_from(descriptor: int) -> int:
    """Return what stands in an eventfd, and leave 0 there: that needs no further descriptor."""
    try:
        return os.eventfd_read(descriptor)
    except BlockingIOError:  # it is 0
        return 0


def address_of(connection: socket.socket) -> str:
    """Return the peer's address for a reader."""
    try:
        host, port = connection.getpeername()[:2]
    except OSError:
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
