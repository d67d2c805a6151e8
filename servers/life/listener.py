"""The listening socket, the connections accepted from it, and the end of serving.

A stop raises nothing in the middle of anything. SIGTERM or SIGINT
    1. shuts the listener: the accept() under way fails, and the model's loop ends;
    2. shuts the receiving side of every open connection: its loop still reads what had arrived,
       answers it, sees the end and closes, as it would have done for a peer that went away;
    3. passes SIGTERM on to the children, which do the same;
    4. begins a grace, after which whatever is left is ended: no peer can hold the server up.
A model therefore has nothing to do for a stop but to return from `serve` when its loops are over.
Whoever has nothing under way sees a clean end between two frames. A connection that the end of the
grace finds in mid-frame is reset: a peer must not take a part for the whole.

Python looks for signals before and after a system call, in the main thread. One that comes just
before the call, or that the kernel has given to another thread, has no effect until the call
returns: both happen under load. So a timer interrupts the main thread a few times a second; it
also counts the grace.

Needs POSIX. That a shut listener wakes accept() up is Linux's way; elsewhere the end of the grace
ends the process.
"""

from __future__ import annotations

__all__ = ["DEFAULT_BACKLOG", "EXHAUSTED", "Listener"]

import atexit
import errno
import os
import signal
import socket
import time
import weakref
from collections import deque
from contextlib import suppress

from servers.life.notices import Episode, voice
from servers.life.timeouts import reset_at_close
from servers.protocol import ERROR, BusyError, frame

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DEFAULT_BACKLOG = 1024
GRACE_SECONDS = 1.0
"""How long the open connections and the children have to end after a signal."""
STOPPING = (signal.SIGTERM, signal.SIGINT)
PULSE_SECONDS = 0.25
"""How long a signal can go unnoticed, and by how much the grace can be exceeded."""
CHILDRENS_PULSES = 2
"""After the grace: until the children have reset their connections, too."""

GONE = {errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO}
"""accept() found that the peer had changed its mind."""
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""accept() cannot, for now; the peers wait in the backlog."""
EXHAUSTED_PAUSE_SECONDS = 0.05
FULL_PAUSE_SECONDS = 0.01
"""How long room that a connection has left can go unnoticed."""
LEAVING_BYTES = 65_536
LEAVING_SECONDS = 1.0
MOST_LEAVING = 64
"""Refused peers that are waited for at a time, so that they get to read why."""


class Listener(socket.socket):
    """A listening socket that knows its open connections; iterating over it accepts them."""

    def __init__(
        self,
        host: str,
        port: int,
        backlog: int = DEFAULT_BACKLOG,
        *,
        max_connections: int = 0,
        when_full: str = "busy",
    ) -> None:
        """Bind and listen; port 0 takes a free one. OSError when that cannot be.

        With `max_connections` open (0: any number), further ones are refused ("busy") or not
        accepted ("backlog") until there is room.
        """
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.backlog = backlog
        self.stopping = False
        self.children: Callable[[], Iterable[int]] = tuple  # the process ids to take along
        self.elsewhere: Callable[[], int] = int  # how many connections other processes serve
        self._max_connections = max_connections
        self._waits_when_full = when_full == "backlog"
        self.at_exit: Callable[[], object] = tuple  # what the server does last
        self._exhaustion = Episode()
        self._exhausted_until = 0.0  # on the monotonic clock
        self._refusals = Episode()
        self._leaving: deque[tuple[float, socket.socket]] = deque()  # refused: until when at most
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
        """Accept a connection and make it one of ours.

        A listener that blocks does so until there is one. The other kind raises BlockingIOError for
        one that was refused, and what accept() says for the others.
        """
        blocks = self.gettimeout() is None
        while True:
            try:
                if self._max_connections and self._waits_when_full:
                    self._wait_for_room()
                if self._exhausted_until:
                    self._check_exhaustion()
                connection, address = super().accept()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._exhausted_until = time.monotonic() + EXHAUSTED_PAUSE_SECONDS / 2
                    self._exhaustion.say(f"cannot accept for now: {error.strerror}.")
                    if blocks and not self.stopping:
                        time.sleep(EXHAUSTED_PAUSE_SECONDS)
                        continue
                raise
            if not self._max_connections or not self._is_full():
                self.adopt(connection)
                return connection, address
            self.refuse(connection, f"{self._max_connections} connections are open, the most")
            if not blocks:
                raise BlockingIOError(errno.EAGAIN, "refused")

    def _check_exhaustion(self) -> None:
        """Raise BlockingIOError right after accept() has failed for want of something.

        asyncio then looks away for a second, but first tries again, and logs, `backlog` times.
        """
        if time.monotonic() < self._exhausted_until:
            raise BlockingIOError(errno.EAGAIN, "exhausted")
        self._exhausted_until = 0

    def refuse(self, connection: socket.socket, reason: str) -> None:
        """Tell a peer that it cannot be served, and close without making anyone wait for it.

        To close with its request unread would reset the connection, and it might not get to read
        the reason. So the pulse looks after it until it has closed, or others have come.
        """
        connection = socket.socket(fileno=connection.detach())
        with suppress(OSError):
            connection.setblocking(False)
            connection.send(frame(ERROR, 0, BusyError(f"{reason}.").body()))
            connection.shutdown(socket.SHUT_WR)
        if len(self._leaving) >= MOST_LEAVING:
            with suppress(IndexError):  # the pulse came in between
                self._leaving.popleft()[1].close()
        self._leaving.append((time.monotonic() + LEAVING_SECONDS, connection))
        self._refusals.say(f"{reason}: refused.")

    def _look_after_the_refused(self) -> None:
        for _ in range(len(self._leaving)):
            until, connection = self._leaving.popleft()
            try:
                while connection.recv(LEAVING_BYTES):
                    pass
            except BlockingIOError:
                if time.monotonic() < until:
                    self._leaving.append((until, connection))
                    continue
            except OSError:
                pass  # gone, which is all that is waited for
            connection.close()

    def _is_full(self) -> bool:
        """Whether as many connections are open as there may be."""
        ours = len(self._connections)  # some may be closed, and not yet forgotten
        if ours + self.elsewhere() < self._max_connections:
            return False
        ours = sum(connection.fileno() >= 0 for connection in self._open_connections())
        return ours + self.elsewhere() >= self._max_connections

    def _wait_for_room(self) -> None:
        while self._is_full() and not self.stopping:
            time.sleep(FULL_PAUSE_SECONDS)

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
                if error.errno not in GONE:
                    raise
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

        for number in STOPPING:
            signal.signal(number, handle)
        signal.signal(signal.SIGALRM, lambda *_: self._pulse())
        # Until the threads are joined, no longer: an interpreter that is being taken down has put
        # the default actions back, and a pulse or one more SIGTERM would kill it.
        atexit.register(ignore_signals)
        start_pulse()

    def stop(self) -> None:
        """Let everything that is open come to its end."""
        self.stopping = True
        shut(self, socket.SHUT_RDWR)
        for connection in self._open_connections():
            shut(connection, socket.SHUT_RD)
        self._signal_children(signal.SIGTERM)

    def _pulse(self) -> None:
        self._look_after_the_refused()
        voice.catch_up()
        over = time.monotonic() - self._end_of_grace
        if over < 0:
            return
        for connection in self._open_connections():
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

    def leave_to_parent(self, keep: socket.socket | None = None) -> None:
        """In a child just forked: drop the copies of all that is the parent's to serve."""
        self.close()
        voice.begin_anew()
        self.children = self.at_exit = tuple
        while self._leaving:
            self._leaving.pop()[1].close()
        for connection in self._open_connections():
            if connection is not keep:
                connection.close()

    def _open_connections(self) -> list[socket.socket]:
        references = list(self._connections)
        return [sock for reference in references if (sock := reference()) is not None]


def start_pulse() -> None:
    """Have SIGALRM interrupt the main thread from now on; fork() does not hand this down."""
    signal.setitimer(signal.ITIMER_REAL, PULSE_SECONDS, PULSE_SECONDS)


def ignore_signals() -> None:
    """Let neither the pulse nor another stop end this process before it has ended by itself."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def shut(connection: socket.socket, how: int) -> None:
    """Shut one or both directions of a socket that may have been reset or closed by now."""
    with suppress(OSError):
        connection.shutdown(how)
