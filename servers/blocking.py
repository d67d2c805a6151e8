"""The conversation on a blocking socket: what serial, thread, process and the pools share."""

from __future__ import annotations

import socket
from time import monotonic, sleep

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from servers.service import Session

RECEIVE_BYTES = 65_536
DRAIN_SECONDS = 1.0
"""How long a peer that we take leave of may go on sending."""


def converse(connection: socket.socket, session: Session) -> None:
    """Serve one connection to its end, and close it."""
    with connection:
        try:
            while not session.closing and (data := connection.recv(RECEIVE_BYTES)):
                for step in session.receive(data):
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        sleep(step.seconds)
            if session.closing:
                take_leave(connection)
        except OSError:
            # Reset, broken pipe, timed out: whatever befalls this socket is its peer's affair,
            # and the connection is over.
            pass


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
