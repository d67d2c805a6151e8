"""A leash: as long as it is held a process and all of its group may live, and no longer.

It is a pipe. When the writing end closes, the kernel sends what belongs to the reading end a signal
of our choice: SIGKILL, to the whole group. So to end a group is to close a descriptor, and a server
that is killed itself ends its commands all the same. The kernel knows the group and not its number,
so no other can ever be meant that has got the number since. Linux only, like `parent`, which ties
servers to those who start them in the same way.

The process inherits the reading end: with the server that goes, and the pipe is still to be there
at that moment. A process that closes what it has inherited, and those that leave their group, are
out of reach once the server itself is gone, or at once.
"""

from __future__ import annotations

__all__ = ["Leash"]

import fcntl
import os
import signal
from contextlib import suppress

NOT_HELD = -1
F_SETSIG = getattr(fcntl, "F_SETSIG", 10)  # which PyPy does not name


class Leash:
    """For one process; OSError when there is no descriptor left."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def fileno(self) -> int:
        """Return the end for the process to inherit."""
        return self._reading

    def hold(self, pid: int) -> None:
        """Hold the group that `pid` leads from now on."""
        with suppress(ProcessLookupError):  # all of it has ended already
            fcntl.fcntl(self._reading, fcntl.F_SETOWN, -pid)
            fcntl.fcntl(self._reading, F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self._reading, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

    def let_go(self) -> None:
        """Kill what lives of the group; may be called again."""
        if self._writing != NOT_HELD:
            # For a process that was forked meanwhile may have a copy, and it would not be closed.
            os.write(self._writing, b"!")
            os.close(self._writing)
            os.close(self._reading)
            self._reading = self._writing = NOT_HELD
