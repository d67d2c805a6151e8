"""The end of serving: signals, the connections and children that they reach, and the grace.

A stop raises nothing in the middle of anything. SIGTERM or SIGINT
    1. shuts the endpoint: the accept() under way fails, and the model's loop ends;
    2. shuts the receiving side of every open connection: its loop still reads what had arrived,
       answers it, sees the end and closes, as it would have done for a peer that went away;
    3. passes SIGTERM on to the children, which do the same;
    4. begins a grace, after which whatever is left is ended: no peer can hold the server up.
A model therefore has nothing to do for a stop but to return from `serve` when its loops are over.
Whoever has been accepted and has nothing under way sees a clean end between two frames. A
connection that the end of the grace finds in mid-frame is reset: a peer must not take a part for
the whole. So are those that nobody has accepted yet, whatever they have sent: they wait in the
backlog, and that goes with the endpoint.

Python looks for signals before and after a system call, in the main thread. One that comes just
before the call, or that the kernel has given to another thread, has no effect until the call
returns: both happen under load. So a timer, the pulse, interrupts the main thread a few times a
second; it also counts the grace.

Needs POSIX. That a shut endpoint wakes accept() up is Linux's way; elsewhere the end of the grace
ends the process.
"""

from __future__ import annotations

__all__ = ["GRACE_SECONDS", "STOPPING", "CannotStart", "Stop", "shut"]

import atexit
import os
import signal
import socket
import time
import weakref
from contextlib import suppress

from servers.life.notices import voice
from servers.life.timeouts import reset_at_close

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GRACE_SECONDS = 1.0
"""How long the open connections and the children have to end after a signal, unless told."""
STOPPING = (signal.SIGTERM, signal.SIGINT)
PULSE_SECONDS = 0.25
"""How long a signal can go unnoticed, and by how much the grace can be exceeded."""
CHILDRENS_PULSES = 2
"""After the grace: until the children have reset their connections, too."""
AT_ONCE_SECONDS = 0.001
"""The shortest time to the first pulse of a stop: 0 would be none."""


class CannotStart(Exception):  # noqa: N818 - it says what happened
    """The machine does not let a model have what it begins with; the message is a sentence."""


class Stop:
    """What a stop reaches in this process, and whether it has come."""

    def __init__(
        self, end_accepting: Callable[[], object] = tuple, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        """`end_accepting` is what ends the accepting, if there is any."""
        self.begun = False
        self._process = os.getpid()  # whose stop it is
        self.children: Callable[[], Iterable[int]] = tuple  # the process ids to take along
        self.at_exit: Callable[[], object] = tuple  # what the server does last
        self.each_pulse: Callable[[], object] = tuple  # what it does a few times a second
        self.grace_seconds = grace_seconds
        self._in_pulse = False
        self._end_accepting = end_accepting
        # Weakly, so that a connection leaves by being closed and forgotten. Not a WeakSet: one
        # call in C adds, discards or copies, so threads and signal handlers cannot interfere.
        self._connections: set[weakref.ref[socket.socket]] = set()
        self._end_of_grace = float("inf")  # on the monotonic clock

    def reach(self, connection: socket.socket) -> None:
        """Let a stop reach a connection, also one that has already come."""
        self._connections.add(weakref.ref(connection, self._connections.discard))
        if self.begun:
            shut(connection, socket.SHUT_RD)

    def open_at_most(self) -> int:
        """Return how many connections are not forgotten; some of them may be closed."""
        return len(self._connections)

    def open_connections(self) -> list[socket.socket]:
        """Return the connections that have not been forgotten."""
        references = list(self._connections)
        return [sock for reference in references if (sock := reference()) is not None]

    def on_signals(self, begin: Callable[[], object] | None = None) -> None:
        """From now on, let SIGTERM and SIGINT end the serving.

        `begin` replaces `self.begin` where that may not be called between just any two
        instructions. The grace begins in any case.
        """

        def handle(*_: object) -> None:
            if os.getpid() != self._process:
                os._exit(0)  # just forked: the endpoint to shut is still the parent's
            # A second signal does not extend the grace; a forked child has no timer yet.
            self._end_of_grace = min(self._end_of_grace, time.monotonic() + self.grace_seconds)
            start_pulse(max(self._end_of_grace - time.monotonic(), AT_ONCE_SECONDS))
            (begin or self.begin)()

        for number in STOPPING:
            signal.signal(number, handle)
        signal.signal(signal.SIGALRM, lambda *_: self._pulse())
        # Until the threads are joined, no longer: an interpreter that is being taken down has put
        # the default actions back, and a pulse or one more SIGTERM would kill it.
        atexit.register(ignore_signals)
        start_pulse()

    def begin(self) -> None:
        """Let everything that is open come to its end."""
        self.begun = True
        self._end_accepting()
        for connection in self.open_connections():
            shut(connection, socket.SHUT_RD)
        self._signal_children(signal.SIGTERM)

    def _pulse(self) -> None:
        # To go through 20,000 connections may take longer than from one pulse to the next. Were
        # the next one to begin within this one, none of them would ever come to an end.
        if self._in_pulse:
            return
        self._in_pulse = True
        try:
            self._look_after()
        finally:
            self._in_pulse = False

    def _look_after(self) -> None:
        self.each_pulse()
        voice.catch_up()
        over = time.monotonic() - self._end_of_grace
        if over < 0:
            return
        for connection in self.open_connections():
            reset_at_close(connection)
        if over >= CHILDRENS_PULSES * PULSE_SECONDS or not self._signal_children(0):
            self._signal_children(signal.SIGKILL)
            self.at_exit()
            os._exit(0)

    def _signal_children(self, number: int) -> bool:
        """Send a signal to every child, and return whether there are any."""
        pids = list(self.children())
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)

    def leave_to_parent(self, keep: socket.socket | None) -> None:
        """In a child just forked: forget what is the parent's, but for one connection."""
        self._process = os.getpid()
        self.children = self.at_exit = tuple
        for connection in self.open_connections():
            if connection is not keep:
                connection.close()

    def share(self, end_accepting: Callable[[], object]) -> None:
        """In a child just forked that uses the parent's endpoint: stop for itself alone.

        To shut the endpoint would end the accepting of all, so there is another way to end it here.
        """
        self._end_accepting = end_accepting
        start_pulse()


def shut(connection: socket.socket, how: int) -> None:
    """Shut one or both directions of a socket that may have been reset or closed by now."""
    with suppress(OSError):
        connection.shutdown(how)


def start_pulse(first_seconds: float = PULSE_SECONDS) -> None:
    """Have SIGALRM interrupt the main thread from now on; fork() does not hand this down."""
    signal.setitimer(signal.ITIMER_REAL, min(first_seconds, PULSE_SECONDS), PULSE_SECONDS)


def ignore_signals() -> None:
    """Let neither the pulse nor another stop end this process before it has ended by itself."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
