"""A number that a process and all that it forks add to and take from, each in a single step.

It is an eventfd of Linux: eight bytes in the kernel, read and written like a file. Only its making
is the interpreter's affair. CPython has `os.eventfd`; PyPy has not, and there the C library is
asked for one.
"""

from __future__ import annotations

__all__ = ["Counter", "new_eventfd"]

import os
import sys

from servers.handing import Descriptor

EFD_SEMAPHORE = 1  # <sys/eventfd.h>; the other flags are those of open()
WORD_BYTES = 8


class Counter:
    """Counts up from `start`; OSError when there is no descriptor left."""

    def __init__(self, start: int = 0, *, semaphore: bool = False) -> None:
        flags = os.O_NONBLOCK | os.O_CLOEXEC | (EFD_SEMAPHORE if semaphore else 0)
        self._descriptor = Descriptor(new_eventfd(start, flags))

    def add(self, number: int) -> None:
        """Add `number`, at least 0."""
        os.write(self._descriptor, number.to_bytes(WORD_BYTES, sys.byteorder))

    def take(self) -> int:
        """Return what stands in it and leave 0, of a semaphore 1 and one less; 0 if there is 0."""
        try:
            return int.from_bytes(os.read(self._descriptor, WORD_BYTES), sys.byteorder)
        except BlockingIOError:  # it is 0
            return 0


def new_eventfd(start: int, flags: int) -> int:
    """Return the descriptor of a new eventfd."""
    if hasattr(os, "eventfd"):
        return os.eventfd(start, flags)
    import ctypes  # 8 ms, and only a server with timeouts counts anything

    made: int = ctypes.CDLL(None, use_errno=True).eventfd(start, flags)
    if made < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return made
