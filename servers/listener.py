"""The listening socket, the connections accepted from it, and the end of serving.

A stop raises nothing in the middle of anything. SIGTERM or SIGINT
    1. shuts the listener: the accept() under way fails, and the model's loop ends;
    2. shuts the receiving side of every open connection: its loop still reads what had arrived,
       answers it, sees the end and closes, as it would have done for a peer that went away;
    3. passes SIGTERM on to the children, which do the same;
    4. begins a grace, after which whatever is left is ended: no peer can hold the server up.
A model therefore has nothing to do for a stop but to return from `serve` when its loops are over.

Python looks for signals before and after a system call, in the main thread. One that comes just
before the call, or that the kernel has given to another thread, has no effect until the call
returns: both happen under load. So a timer interrupts the main thread a few times a second; it
also counts the grace.

Needs POSIX. That a shut listener wakes accept() up is Linux's way; elsewhere the end of the grace
ends the process.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
import weakref
from contextlib import suppress

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DEFAULT_BACKLOG = 1024
GRACE_SECONDS = 1.0
"""How long the open connections and the children have to end after a signal."""
PULSE_SECONDS = 0.25
"""How long a signal can go unnoticed, and by how much the grace can be exceeded."""

GONE = {errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO}
"""accept() found that the peer had changed its mind."""
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""accept() cannot, for now; the peers wait in the backlog."""
EXHAUSTED_PAUSE_SECONDS = 0.05


class Listener(socket.socket):
    """A listening socket that knows its open connections; iterating over it accepts them."""

    def __init__(self, host: str, port: int, backlog: int = DEFAULT_BACKLOG) -> None:
        """Bind and listen; port 0 takes a free one. OSError when that cannot be."""
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.backlog = backlog
        self.stopping = False
        self.children: Callable[[], Iterable[int]] = tuple  # the process ids to take along
        # Weakly, so that a connection leaves by being closed and forgotten. Not a WeakSet: one
        # call in C adds, discards or copies, so threads and signal handlers cannot interfere.
        self._connections: set[weakref.ref[socket.socket]] = set()
        self._end_of_grace = float("inf")  # on the monotonic clock
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind((host, port))
            self.listen(backlog)
        except OSError:
            self.close()
            raise

    def accept(self) -> tuple[socket.socket, object]:
        """Accept a connection and make it one of ours."""
        connection, address = super().accept()
        self.adopt(connection)
        return connection, address

    def adopt(self, connection: socket.socket) -> None:
        """Set up a connection, and let a stop reach it, also one that has already come."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(weakref.ref(connection, self._connections.discard))
        if self.stopping:
            shut(connection, socket.SHUT_RD)

    def __iter__(self) -> Iterator[socket.socket]:
        """Accept connections until the stop."""
        while True:
            try:
                connection, _ = self.accept()
            except OSError as error:
                if self.stopping:
                    return
                time.sleep(self.pause_after(error))
            else:
                yield connection

    def pause_after(self, error: OSError) -> float:
        """Return the seconds to wait after accept() failed; raise what no waiting will cure."""
        if error.errno in GONE:
            return 0
        if error.errno in EXHAUSTED:
            return EXHAUSTED_PAUSE_SECONDS
        raise error

    def stop_on_signals(self, stop: Callable[[], object] | None = None) -> None:
        """From now on, let SIGTERM and SIGINT end the serving.

        `stop` replaces `self.stop` where that may not be called between just any two instructions.
        The grace begins in any case.
        """

        def handle(*_: object) -> None:
            # A second signal does not extend the grace; a forked child has no timer yet.
            self._end_of_grace = min(self._end_of_grace, time.monotonic() + GRACE_SECONDS)
            start_pulse()
            (stop or self.stop)()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handle)
        signal.signal(signal.SIGALRM, lambda *_: self._pulse())
        start_pulse()

    def stop(self) -> None:
        """Let everything that is open come to its end."""
        self.stopping = True
        shut(self, socket.SHUT_RDWR)
        for connection in self._open_connections():
            shut(connection, socket.SHUT_RD)
        self._signal_children(signal.SIGTERM)

    def _pulse(self) -> None:
        if time.monotonic() >= self._end_of_grace:
            self._signal_children(signal.SIGKILL)
            os._exit(0)

    def _signal_children(self, number: int) -> None:
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def leave_to_parent(self, keep: socket.socket | None = None) -> None:
        """In a child just forked: drop the copies of all that is the parent's to serve."""
        self.close()
        self.children = tuple
        for connection in self._open_connections():
            if connection is not keep:
                connection.close()

    def _open_connections(self) -> list[socket.socket]:
        references = list(self._connections)
        return [sock for reference in references if (sock := reference()) is not None]


def start_pulse() -> None:
    """Have SIGALRM interrupt the main thread from now on; fork() does not hand this down."""
    signal.setitimer(signal.ITIMER_REAL, PULSE_SECONDS, PULSE_SECONDS)


def shut(connection: socket.socket, how: int) -> None:
    """Shut one or both directions of a socket that may have been reset or closed by now."""
    with suppress(OSError):
        connection.shutdown(how)
