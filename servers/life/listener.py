"""The listening socket for models that accept from one: its parts put together.

What a connection is set up with is in `endpoint`, who may come in in `admission`, and how all of it
ends in `stopping`. A model that cannot use this socket, because its loop takes a bare descriptor or
its processes accept for themselves, uses the parts: it asks `admission` to admit each connection,
and has `stop` told of signals in its own way.
"""

from __future__ import annotations

__all__ = ["SHUT", "Listener"]

import errno
import time

from servers.life.admission import GONE, Admission
from servers.life.endpoint import DEFAULT_BACKLOG, Endpoint
from servers.life.notices import voice
from servers.life.stopping import GRACE_SECONDS, Stop

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

SHUT = errno.EINVAL
"""What accept() says when another process has shut the endpoint that it shares with this one."""


class Listener(Endpoint):
    """An endpoint with its admission and its stop; iterating over it accepts connections."""

    def __init__(
        self,
        host: str,
        port: int,
        backlog: int = DEFAULT_BACKLOG,
        *,
        max_connections: int = 0,
        when_full: str = "busy",
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Bind and listen; port 0 takes a free one. OSError when that cannot be."""
        super().__init__(host, port, backlog)
        self.stop = Stop(self.end, grace_seconds)
        self.admission = Admission(self.stop, max_connections, when_full)
        self.stop.each_pulse = self.admission.look_after_the_refused

    def accept(self) -> tuple[socket.socket, object]:
        """Accept a connection and make it one of ours.

        A listener that blocks does so until there is one. The other kind raises BlockingIOError for
        one that was refused, and what accept() says for the others.
        """
        blocks = self.gettimeout() is None
        while True:
            try:
                self.admission.before_accept()
                connection, address = super().accept()
            except OSError as error:
                if self.stop.begun or error.errno == SHUT:
                    raise
                pause_seconds = self.admission.pause_after(error)
                if not (blocks and pause_seconds):
                    raise
                time.sleep(pause_seconds)
                continue
            if admitted := self.admission.admit(connection):
                return admitted, address
            if not blocks:
                raise BlockingIOError(errno.EAGAIN, "refused")

    def __iter__(self) -> Iterator[socket.socket]:
        """Accept connections until the stop."""
        while True:
            try:
                connection, _ = self.accept()
            except OSError as error:
                if self.stop.begun or error.errno == SHUT:
                    return
                if error.errno not in GONE:
                    raise
            else:
                yield connection

    def sum_up(self) -> None:
        """Say what there is to say at the end: of connections, `timeouts` keeps the count."""

    def leave_to_parent(self, keep: socket.socket | None = None) -> None:
        """In a child just forked: drop the copies of all that is the parent's to serve."""
        self.close()
        self._forget_what_is_the_parents(keep)

    def share_with_parent(self, place: int) -> None:
        """In a child just forked: go on accepting, and leave all else to the parent.

        When this process's copy is closed, the accept() that the signal has interrupted fails when
        it is taken up again. `place` is the child's among those who accept.
        """
        self._forget_what_is_the_parents(None)
        self.admission.count_at(place)
        self.stop.share(self.close)

    def has_children(self, pids: set[int]) -> None:
        """Take the children of these ids along at a stop, and count a connection for each."""
        self.stop.children = pids.copy
        self.admission.elsewhere = pids.__len__

    def has_lost_child(self, place: int) -> None:
        """Forget the connections of the child that had this place, for it has died."""
        self.admission.forget(place)

    def _forget_what_is_the_parents(self, keep: socket.socket | None) -> None:
        voice.begin_anew()
        self.stop.leave_to_parent(keep)
        self.admission.leave_to_parent()
