"""The socket that datagrams come to: what `listener` is to connections.

How all of it ends is in `stopping`, what was not answered is counted in `drops`. There is nobody to
admit: a datagram is received, or the kernel drops it where its buffer is full, and counts that.

A stop shuts the receiving side. On a socket of datagrams that is said to fail, for it has no peer,
but it wakes up who waits, and what had arrived can still be read. So could what arrives from then
on; hence no more than MOST_AFTER_STOP are taken. A child that shares its socket with its parent
must not shut it, for another child may have to go on with it: it has the kernel give up waiting.
"""

from __future__ import annotations

__all__ = ["MOST_AFTER_STOP", "Mailbox"]

import os
import select
import socket
import time
from struct import Struct

from servers.datagrams import UNSENT
from servers.life.admission import EXHAUSTED, EXHAUSTED_PAUSE_SECONDS
from servers.life.drops import Drops
from servers.life.notices import Episode, voice
from servers.life.stopping import GRACE_SECONDS, Stop, shut

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Address = Any

RECEIVE_BYTES = 65_536
"""More than any datagram has: the kernel would cut a longer one off without a word."""
MOST_AFTER_STOP = 1_024
TIMEVAL = Struct("ll")
FOREVER = TIMEVAL.pack(0, 0)
AT_ONCE = TIMEVAL.pack(0, 1)


class Mailbox(socket.socket):
    """A bound UDP socket, its stop and its counts; iterating over it receives datagrams."""

    def __init__(
        self,
        host: str,
        port: int,
        receive_buffer: int = 0,
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Bind; port 0 takes a free one. OSError when that cannot be.

        The kernel doubles `receive_buffer`, for it counts its own bookkeeping; 0: its own size.
        """
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._receive_buffer = receive_buffer
        self._others: list[socket.socket] = []
        try:
            self._size(self)
            self.bind((host, port))
        except OSError:
            self.close()
            raise
        self.stop = Stop(self.end, grace_seconds)
        self.drops = Drops()
        self._exhaustion = Episode()

    def __iter__(self) -> Iterator[tuple[bytes, Address]]:
        """Receive datagrams, with the addresses of their senders, until the stop."""
        while not self.stop.begun:
            try:
                datagram, address = self.recvfrom(RECEIVE_BYTES)
            except OSError as error:
                self.pause_after(error)
                continue
            if address is None:  # it was shut, and nothing is left
                return
            yield datagram, address
        yield from self.arrived()

    def arrived(self, most: int = MOST_AFTER_STOP) -> Iterator[tuple[bytes, Address]]:
        """Receive what is there already, and wait for nothing."""
        for _ in range(most):
            try:
                datagram, address = self.recvfrom(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except OSError as error:
                self.pause_after(error)
                return
            if address is None:
                return
            yield datagram, address

    def answer(self, datagram: bytes, address: Address) -> None:
        """Send an answer, or count that it cannot be."""
        try:
            self.sendto(datagram, address)
        except OSError:  # no route, no memory: the peer will ask again, or not
            self.drops.count(UNSENT)

    def has_more(self) -> bool:
        """Whether there is a datagram to receive."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(0))

    def pause_after(self, error: OSError) -> None:
        """Wait for a moment where the kernel lacks memory; raise what no waiting will cure."""
        if isinstance(error, BlockingIOError):
            return
        if error.errno not in EXHAUSTED:
            raise error
        self._exhaustion.say(f"cannot receive for now: {error.strerror}.")
        time.sleep(EXHAUSTED_PAUSE_SECONDS)

    def sum_up(self) -> None:
        """Say what was not answered."""
        self.drops.sum_up()

    def end(self) -> None:
        """Receive no more than has arrived, also in the processes that share these sockets."""
        for each in (self, *self._others):
            shut(each, socket.SHUT_RD)

    def _size(self, sock: socket.socket) -> None:
        if self._receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)

    # For a socket per process.

    def receive_from(self, count: int) -> None:
        """Have `count` sockets at this address, each with a buffer of its own.

        The kernel hands a datagram to one of them by a hash over its addresses and ports. Allowed
        from here on only, when the address is bound, as in `Endpoint.listen_times`.
        """
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(count - 1):
            other = socket.socket(self.family, self.type)
            self._others.append(other)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._size(other)
            other.bind(self.getsockname())

    def keep_only(self, number: int) -> None:
        """In a child just forked: go on with the socket of this number alone."""
        if number:
            os.dup2(self._others[number - 1].fileno(), self.fileno(), inheritable=False)
        for other in self._others:
            other.close()
        self._others.clear()
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, FOREVER)  # as it was, before a stop
        self.stop.share(self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, AT_ONCE)

    def has_children(self, pids: set[int]) -> None:
        """Take the children of these ids along at a stop."""
        self.stop.children = pids.copy

    def has_lost_child(self, place: int) -> None:
        """Forget nothing: what a child had in its socket is its successor's."""

    def share_with_parent(self, place: int) -> None:  # noqa: ARG002 - that of a listener needs it
        """In a child just forked: leave to the parent all that is not received here."""
        voice.begin_anew()
        self.stop.leave_to_parent(None)
        self.stop.share(tuple)  # until it is known what to receive from
