"""The conversation on a blocking socket: what serial, thread, process and the pools share."""

from __future__ import annotations

import os
import socket
from time import monotonic, sleep

from servers.service import CutShort, SendFile
from servers.timeouts import IdlePeer, StuckPeer, reset_at_close

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from servers.service import Session

RECEIVE_BYTES = 65_536
DRAIN_SECONDS = 1.0
"""How long a peer that we take leave of may go on sending."""


def converse(connection: socket.socket, session: Session) -> None:
    """Serve one connection to its end, and close it."""
    timeouts = session.timeouts
    with connection:
        try:
            if timeouts:
                timeouts.set_on(connection)
            try:
                exchange(connection, session)
            except IdlePeer as fault:
                timeouts.count(fault, connection)
                session.closing = True
                connection.sendall(timeouts.last_words())
            if session.closing:
                take_leave(connection)
        except BlockingIOError:  # a send's; the kernel has counted
            timeouts.count(StuckPeer(), connection)
            reset_at_close(connection)
        except CutShort:
            reset_at_close(connection)
        except OSError:
            # Reset, broken pipe, timed out: whatever befalls this socket is its peer's affair,
            # and the connection is over.
            pass
        finally:
            session.close()


def exchange(connection: socket.socket, session: Session) -> None:
    """Answer what arrives until the peer's end or the session's; IdlePeer if nothing does."""
    unfinished_since = 0.0
    while not session.closing:
        try:
            data = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:  # the kernel has counted
            raise IdlePeer from None
        if not data:
            return
        steps = session.receive(data)
        unfinished_since = 0 if steps else session.timeouts.still_waiting(unfinished_since)
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, SendFile):
                send_file(connection, step)
            else:
                sleep(step.seconds)


def send_file(connection: socket.socket, step: SendFile) -> None:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    # Not connection.sendfile(), which makes a selector each time, for sockets with a time-out.
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        sent = os.sendfile(connection.fileno(), step.file.fileno(), offset, end - offset)
        if not sent:
            raise CutShort
        offset += sent


def take_leave(connection: socket.socket) -> None:
    """Send the end, and wait for the peer's.

    To close with bytes unread would reset the connection, and our last words might be lost.
    """
    connection.shutdown(socket.SHUT_WR)
    deadline = monotonic() + DRAIN_SECONDS
    while (left := deadline - monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(RECEIVE_BYTES):
            return
