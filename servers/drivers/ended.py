"""The end of a process as a descriptor that can be read from: a pidfd of Linux.

Only its making is the interpreter's affair, as in `counter`: CPython has `os.pidfd_open`, and where
there is none, in PyPy, the kernel is asked for one through the C library.
"""

from __future__ import annotations

__all__ = ["open_pidfd"]

import os

NUMBER = 434  # of the system call, on every architecture that runs here: <asm-generic/unistd.h>


def open_pidfd(pid: int) -> int:
    """Return a descriptor for the end of a process; ProcessLookupError if it has been reaped."""
    return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else ask_for_pidfd(pid)


def ask_for_pidfd(pid: int) -> int:
    """Return one by the system call itself. OSError."""
    import ctypes  # 8 ms, and for a command in PyPy only

    made: int = ctypes.CDLL(None, use_errno=True).syscall(NUMBER, pid, 0)
    if made < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return made
