"""How many connections are open over all the processes that accept for one server.

Each process counts its own in a place of a shared page, and lets one more in under a lock over all
places: never more than there may be, not even for a moment. The lock is a file's (lockf), so a
process that is killed lets go of it; its place is then cleared by whoever forked it.
"""

from __future__ import annotations

__all__ = ["Together"]

import fcntl
import mmap
import os
import socket

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

COUNT_BYTES = 8


class Together:
    """The count; to be made before the processes are forked, and at most `most`."""

    def __init__(self, most: int, places: int) -> None:
        self._most = most
        self._file = os.memfd_create("connections")
        os.ftruncate(self._file, COUNT_BYTES * places)
        self._counts = memoryview(mmap.mmap(self._file, COUNT_BYTES * places)).cast("q")
        self._place = 0

    def clear(self, place: int) -> None:
        """Forget the connections of a process that has ended."""
        self._counts[place] = 0

    def begin(self, place: int) -> None:
        """In a child just forked: count here from now on."""
        self._place = place
        self.clear(place)

    def let_in(self, connection: socket.socket) -> socket.socket | None:
        """Return a connection that is counted until it is closed, or None if there are enough."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            if sum(self._counts) >= self._most:
                return None
            self._counts[self._place] += 1
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        return Counted(connection, self._leave)

    def _leave(self) -> None:
        self._counts[self._place] -= 1


class Counted(socket.socket):
    """A connection that says when it is closed."""

    __slots__ = ("_leave",)

    def __init__(self, connection: socket.socket, leave: Callable[[], None]) -> None:
        super().__init__(fileno=connection.detach())
        self._leave = leave

    def close(self) -> None:
        """Close it."""
        self._count_out()
        super().close()

    def detach(self) -> int:
        """Leave the closing to another, as uvloop has libuv do it."""
        self._count_out()
        return super().detach()

    def _count_out(self) -> None:
        self._leave()
        self._leave = done


def done() -> None:
    """Do nothing: it has been closed before."""
