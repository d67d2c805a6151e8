"""Places: so many of a thing at a time, whatever processes a server forks.

A place is a byte of an unnamed file, and whoever holds the lock on it has the place: the lock
belongs to a descriptor of the holder's own (F_OFD_SETLK), so a worker that is killed gives its
places back.
"""

from __future__ import annotations

__all__ = ["NoPlace", "Places"]

import fcntl
import os
from struct import Struct

from servers.handing import Descriptor

FLOCK = Struct("hhqqi0q")
F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)  # which PyPy does not name


class NoPlace(Exception):  # noqa: N818 - it says what is missing
    """All places are taken; the message is a sentence for the peer."""


class Places:
    """How many of something may be under way at a time, here and in the processes that it forks."""

    def __init__(self, count: int, things: str) -> None:
        """Make `count` places for `things`; 0: nobody counts. OSError when that cannot be."""
        self._count = count
        self._things = things
        self._file = Descriptor(os.memfd_create(things)) if count else -1
        self._tried = 0

    def take(self) -> int:
        """Return a descriptor that holds a place until it is closed, or -1 if nobody counts.

        NoPlace when all are taken, OSError when there is no descriptor left.
        """
        if not self._count:
            return -1
        # Opened anew: a copy of a descriptor would share its locks.
        holder = os.open(f"/proc/self/fd/{self._file}", os.O_RDWR | os.O_CLOEXEC)
        self._tried += 1
        first = os.getpid() + self._tried  # processes, and one after another, do not collide
        for number in range(self._count):
            try:
                lock_byte(holder, (first + number) % self._count)
            except (BlockingIOError, PermissionError):
                continue  # taken
            return holder
        os.close(holder)
        raise NoPlace(
            f"{self._count} {self._things} are under way, as many as there may be at a time:"
            " try later."
        )

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)


def lock_byte(descriptor: int, place: int) -> None:
    """Lock one byte for as long as the file is open; OSError when another has locked it."""
    # A struct flock: type, whence, start, length, process.
    fcntl.fcntl(descriptor, F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
