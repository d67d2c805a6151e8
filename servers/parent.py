"""A server that never outlives its parent, whatever the parent dies of.

Standard input is a pipe whose writing end only the parent holds. When that closes, the kernel
sends SIGIO, whose default action is to end a process, to our process group: no thread has to
watch, and children that never heard of this go too. The parent must not write, for that would do
the same. Linux only: elsewhere F_SETOWN and O_ASYNC do not do this for pipes.
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
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(STDIN, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(STDIN, fcntl.F_SETFL, fcntl.fcntl(STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([STDIN], [], [], 0)[0]:  # it was over before that
        os.kill(os.getpid(), signal.SIGIO)
