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

import fcntl
import os
import select
import signal

STDIN = 0


def die_with_stdin() -> None:
    """Arrange for this process and its children to end when standard input does."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    end_with(STDIN, -os.getpgrp())


class Lifeline:
    """Ties the children of the process that makes it to that process."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def hold(self) -> None:
        """In a child just forked: end when the parent does."""
        os.close(self._writing)
        own = os.open(f"/proc/self/fd/{self._reading}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(self._reading)
        end_with(own, os.getpid())


def end_with(pipe: int, whom: int) -> None:
    """Have SIGIO sent to a process, or to a group by its negative id, when `pipe` is over."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, whom)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()  # select() knows no descriptors over 1023
    poll.register(pipe, select.POLLIN)
    if poll.poll(0):  # it was over before that
        os.kill(os.getpid(), signal.SIGIO)
