"""Who may come in: how many connections at most, and what becomes of the others."""

from __future__ import annotations

__all__ = ["EXHAUSTED", "EXHAUSTED_PAUSE_SECONDS", "GONE", "Admission"]

import errno
import socket
import time
from collections import deque
from contextlib import suppress

from servers.life.endpoint import set_up
from servers.life.notices import Episode
from servers.protocol import ERROR, BusyError, frame

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.stopping import Stop
    from servers.life.together import Together

GONE = {errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO}
"""accept() found that the peer had changed its mind."""
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""accept() cannot, for now; the peers wait in the backlog."""
EXHAUSTED_PAUSE_SECONDS = 0.05
FULL_PAUSE_SECONDS = 0.01
"""How long room that a connection has left can go unnoticed."""
LEAVING_BYTES = 65_536
LEAVING_SECONDS = 1.0
MOST_LEAVING = 64
"""Refused peers that are waited for at a time, so that they get to read why."""


class Admission:
    """Lets connections in, or refuses them, or has them wait.

    With `max_connections` open (0: any number), further ones are refused ("busy") or not
    accepted ("backlog") until there is room.
    """

    def __init__(self, stop: Stop, max_connections: int = 0, when_full: str = "busy") -> None:
        self.elsewhere: Callable[[], int] = int  # how many connections other processes serve
        self._stop = stop
        self._max_connections = max_connections
        self._waits_when_full = when_full == "backlog"
        self._exhaustion = Episode()
        self._exhausted_until = 0.0  # on the monotonic clock
        self._refusals = Episode()
        self._leaving: deque[tuple[float, socket.socket]] = deque()  # refused: until when at most
        self._together: Together | None = None  # where several processes accept

    def before_accept(self) -> None:
        """Wait for room where the others wait; BlockingIOError right after `pause_after`."""
        if self._max_connections and self._waits_when_full:
            while self._is_full() and not self._stop.begun:
                time.sleep(FULL_PAUSE_SECONDS)
        if self._exhausted_until:
            self._check_exhaustion()

    def _check_exhaustion(self) -> None:
        """Raise BlockingIOError right after accept() has failed for want of something.

        asyncio then looks away for a second, but first tries again, and logs, `backlog` times.
        """
        if time.monotonic() < self._exhausted_until:
            raise BlockingIOError(errno.EAGAIN, "exhausted")
        self._exhausted_until = 0

    def pause_after(self, error: OSError) -> float:
        """Return the seconds to wait after accept() failed; raise what no waiting will cure."""
        if error.errno in GONE:
            return 0
        if error.errno in EXHAUSTED:
            self._exhausted_until = time.monotonic() + EXHAUSTED_PAUSE_SECONDS / 2
            self._exhaustion.say(f"cannot accept for now: {error.strerror}.")
            return EXHAUSTED_PAUSE_SECONDS
        raise error

    def admit(self, connection: socket.socket) -> socket.socket | None:
        """Return a connection just accepted as one of ours, or refuse it and return None."""
        if self._max_connections:
            if self._together:
                ours = self._together.let_in(connection)
            else:
                ours = None if self._is_full() else connection
            if ours is None:
                self.refuse(connection, f"{self._max_connections} connections are open, the most")
                return None
            connection = ours
        self.adopt(connection)
        return connection

    def count_together(self, processes: int) -> None:
        """Before they are forked: have so many processes that accept count as one."""
        if self._max_connections:
            from servers.life.together import Together  # for the models that need it

            self._together = Together(self._max_connections, processes)

    def count_at(self, place: int) -> None:
        """In the child that has this place among them, just forked: count there."""
        if self._together:
            self._together.begin(place)

    def forget(self, place: int) -> None:
        """Forget the connections of the child that had this place, for it has died."""
        if self._together:
            self._together.clear(place)

    def adopt(self, connection: socket.socket) -> None:
        """Set up a connection, and let a stop reach it, also one that has already come."""
        set_up(connection)
        self._stop.reach(connection)

    def workers_of(self, workers: int) -> int:
        """Return how many workers may accept, of those who serve a connection each at a time.

        That makes --max-connections hold over all their processes, and they need not count.
        """
        return min(workers, self._max_connections or workers)

    def refuse(self, connection: socket.socket, reason: str) -> None:
        """Tell a peer that it cannot be served, and close without making anyone wait for it.

        To close with its request unread would reset the connection, and it might not get to read
        the reason. So the pulse looks after it until it has closed, or others have come.
        """
        connection = socket.socket(fileno=connection.detach())
        with suppress(OSError):
            connection.setblocking(False)
            connection.send(frame(ERROR, 0, BusyError(f"{reason}.").body()))
            connection.shutdown(socket.SHUT_WR)
        if len(self._leaving) >= MOST_LEAVING:
            with suppress(IndexError):  # the pulse came in between
                self._leaving.popleft()[1].close()
        self._leaving.append((time.monotonic() + LEAVING_SECONDS, connection))
        self._refusals.say(f"{reason}: refused.")

    def look_after_the_refused(self) -> None:
        """Close those who have read why, or had the time to."""
        for _ in range(len(self._leaving)):
            until, connection = self._leaving.popleft()
            try:
                while connection.recv(LEAVING_BYTES):
                    pass
            except BlockingIOError:
                if time.monotonic() < until:
                    self._leaving.append((until, connection))
                    continue
            except OSError:
                pass  # gone, which is all that is waited for
            connection.close()

    def leave_to_parent(self) -> None:
        """In a child just forked: drop the copies of the refused, and count for itself."""
        self.elsewhere = int
        while self._leaving:
            self._leaving.pop()[1].close()

    def _is_full(self) -> bool:
        """Whether as many connections are open as there may be."""
        if self._stop.open_at_most() + self.elsewhere() < self._max_connections:
            return False
        ours = sum(connection.fileno() >= 0 for connection in self._stop.open_connections())
        return ours + self.elsewhere() >= self._max_connections
