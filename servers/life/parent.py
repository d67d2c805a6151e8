"""Processes that never outlive their parent, whatever the parent dies of.

Both ways rest on a pipe whose writing end only the parent holds. When that closes, the kernel
sends SIGIO, whose default action is to end a process, to whom the reading end belongs: no thread
has to watch, and it does not matter what the process is doing. Linux only: elsewhere F_SETOWN and
O_ASYNC do not do this for pipes.

A server with --watch-stdin has the pipe as its standard input, and takes its process group along:
children that never heard of this go too. The parent must not write, for that would do the same.

A child has the reading end of a `Lifeline`. Its group may well be a shell's, so it watches for
itself alone. The owner of the signal belongs to an open file, which all who inherit it share;
hence each opens the pipe anew.
"""

from __future__ import annotations

__all__ = ["Lifeline", "die_with_stdin"]

import fcntl
import os
import select
import signal

from servers.handing import Descriptor

STDIN = 0
MOMENT_SECONDS = 0.25
ANEW_FLAGS = os.O_RDONLY | os.O_NONBLOCK


def die_with_stdin() -> None:
    """Arrange for this process and its children to end when standard input does."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    send_sigio(STDIN, -os.getpgrp(), fcntl.fcntl(STDIN, fcntl.F_GETFL))
    if select.select([STDIN], [], [], 0)[0]:  # it was over before that
        os.kill(os.getpid(), signal.SIGIO)


class Lifeline:
    """Ties the children of the process that makes it to that process."""

    def __init__(self) -> None:
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # for the children, too
        reading, self._writing = os.pipe()
        self._reading = Descriptor(reading)

    def __getstate__(self) -> dict[str, int]:
        """Hand the reading end to a child that is started anew, and no other."""
        return {"_reading": self._reading, "_writing": -1}

    def hold(self) -> None:
        """In a child just started: end when the parent does."""
        if self._writing >= 0:
            os.close(self._writing)
        anew = os.open(f"/proc/self/fd/{self._reading}", ANEW_FLAGS)
        send_sigio(anew, os.getpid(), ANEW_FLAGS)
        if select.select([self._reading], [], [], 0)[0]:  # it had ended before that
            os.kill(os.getpid(), signal.SIGIO)

    def hold_soon(self) -> None:
        """Do so in a moment: a child of a short connection is spared it, a twentieth of its cost.

        Takes the place of the pulse of servers/life/stopping.py until then.
        """

        def hold(*_: object) -> None:
            signal.signal(signal.SIGALRM, pulse)
            self.hold()

        pulse = signal.signal(signal.SIGALRM, hold)
        signal.setitimer(signal.ITIMER_REAL, MOMENT_SECONDS)


def send_sigio(pipe: int, whom: int, flags: int) -> None:
    """Have SIGIO sent to a process, or to a group by its negative id, when `pipe` is over."""
    fcntl.fcntl(pipe, fcntl.F_SETOWN, whom)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC)
