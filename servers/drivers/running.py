"""A program under way for a driver that waits on descriptors: a thread, a task, a greenlet.

`Child` starts it by subprocess or what has its interface, and gives in turn frames to be sent and
the seconds for which to wait until its own descriptor is readable: that is an epoll's, behind which
are the two pipes and the process (a pidfd). How to wait and to send is the driver's; drivers that
wait in other ways have `awaited`.

Imported only in a server with commands (`--exec`), and there before anything is forked.
"""

from __future__ import annotations

__all__ = ["Child", "how_to_start"]

import os
import select
from contextlib import ExitStack, suppress
from subprocess import DEVNULL, PIPE, Popen
from time import monotonic

from servers.command import BEAT_SECONDS, COMMAND_SECONDS, PIECE_BYTES
from servers.drivers.ended import open_pidfd
from servers.life.counter import new_eventfd
from servers.life.leash import Leash

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from servers.steps import Run

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
"""All that a command gets: nothing of the server's own."""
READ = select.EPOLLIN
NEVER = float("inf")


def how_to_start(leash: Leash) -> dict[str, Any]:
    """Return how a program is started, as arguments by name of what starts it."""
    return {
        "stdin": DEVNULL,
        "stdout": PIPE,
        "stderr": PIPE,
        "cwd": "/",
        "env": ENVIRONMENT,
        "start_new_session": True,  # so it leads a group, which the leash holds
        "pass_fds": (leash.fileno(),),
    }


class Child:
    """A program under way; to be closed, which ends it if it has not ended."""

    def __init__(self, run: Run, start: Callable[..., Any] = Popen) -> None:
        """Start it; OSError when that cannot be."""
        self._command = run.command
        self._complains = True  # its standard error is open
        with ExitStack() as stack:
            self._epoll = select.epoll()
            stack.callback(self._epoll.close)
            self._leash = Leash()
            stack.callback(self._leash.let_go)
            self._process = start(run.argv, bufsize=0, **how_to_start(self._leash))
            stack.callback(reap, self._process)
            stack.callback(self._leash.let_go)
            self._leash.hold(self._process.pid)
            self._exit = end_of(self._process.pid)
            stack.callback(os.close, self._exit)
            self._output = self._process.stdout.fileno()
            self._complaints = self._process.stderr.fileno()
            for descriptor in (self._output, self._complaints):
                os.set_blocking(descriptor, False)
                self._epoll.register(descriptor, READ)
            self._epoll.register(self._exit, READ)
            self._resources = stack.pop_all()
        self._deadline = monotonic() + COMMAND_SECONDS

    def fileno(self) -> int:
        """Return a descriptor that can be read from when something has come."""
        return self._epoll.fileno()

    def left(self) -> float | None:
        """Return for how many seconds it may still run; None once it has been killed for them."""
        if self._deadline == NEVER:
            return None
        left = self._deadline - monotonic()
        if left > 0:
            return left
        self._deadline = NEVER
        self._command.late()
        self._leash.let_go()
        return None

    def frames(self) -> Iterator[bytes | float]:
        """Give frames to send and, where there is none, the seconds to wait at most; to its end."""
        command = self._command
        heard = monotonic()
        while not command.is_full:
            ready = [descriptor for descriptor, _ in self._epoll.poll(0)]
            if self._complaints in ready:
                self._hear_complaints()
            if self._exit in ready:
                self._leash.let_go()  # what it has started ends with it
            if self._output in ready:
                if data := os.read(self._output, command.piece_bytes):
                    yield command.output(data)
                    heard = monotonic()
                else:
                    self._epoll.unregister(self._output)
            elif self._exit in ready:
                break  # and all that it has written is read
            left = self.left()
            quiet = monotonic() - heard
            if quiet >= BEAT_SECONDS:
                yield command.beat()
                heard = monotonic()
            elif not ready:
                yield min(BEAT_SECONDS - quiet, BEAT_SECONDS if left is None else left)
        self._leash.let_go()
        command.ended(self._process.wait())
        if self._complains:
            with suppress(BlockingIOError):
                self._hear_complaints()

    def _hear_complaints(self) -> None:
        data = os.read(self._complaints, PIECE_BYTES)
        self._command.complaint(data)
        if not data:
            self._epoll.unregister(self._complaints)
            self._complains = False

    def close(self) -> None:
        """End it, reap it, and let go of everything."""
        self._resources.close()


def end_of(pid: int) -> int:
    """Return a descriptor that can be read from once a process has ended."""
    try:
        return open_pidfd(pid)
    except ProcessLookupError:  # gevent has reaped it already
        return new_eventfd(1, os.O_CLOEXEC)


def reap(process: Any) -> None:
    """Wait for a process that has ended or is being killed, and close its pipes."""
    process.wait()
    process.stdout.close()
    process.stderr.close()
