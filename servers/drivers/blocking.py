"""The conversation on a blocking socket: what serial, thread, process and the pools share."""

from __future__ import annotations

import os
import socket
from functools import partial
from time import monotonic, sleep

from servers.drivers import RECEIVE_BYTES
from servers.life.timeouts import NO_TIMEOUTS, IdlePeer, StuckPeer, kernel_waits, reset_at_close
from servers.steps import CutShort, SendFile

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.timeouts import Timeouts
    from servers.service import Session

DRAIN_SECONDS = 1.0
"""How long a peer that we take leave of may go on sending."""


def converse(connection: socket.socket, session: Session) -> None:
    """Serve one connection to its end, and close it."""
    timeouts = session.timeouts or NO_TIMEOUTS
    with connection:
        try:
            if timeouts:
                timeouts.set_on(connection)
            try:
                exchange(connection, session)
            except IdlePeer as fault:
                timeouts.count(fault, connection)
                session.closing = True
                send_all(connection, timeouts, timeouts.last_words())
            if session.closing:
                take_leave(connection)
        except StuckPeer as fault:
            timeouts.count(fault, connection)
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
    timeouts = session.timeouts or NO_TIMEOUTS
    send = partial(send_all, connection, timeouts) if timeouts else connection.sendall
    unfinished_since = 0.0
    while not session.closing:
        try:
            data = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:  # the kernel has counted
            waited = kernel_waits(timeouts.idle)
            unfinished_since = timeouts.still_waiting(unfinished_since, waited)
            continue
        if not data:
            return
        steps = session.receive(data)
        unfinished_since = 0 if steps else timeouts.still_waiting(unfinished_since)
        for step in steps:
            if isinstance(step, bytes):
                send(step)
            elif isinstance(step, SendFile):
                send_file(connection, timeouts, step)
            else:
                sleep(step.seconds)


def send_all(connection: socket.socket, timeouts: Timeouts, data: bytes) -> None:
    """Send all of `data`; StuckPeer once the peer takes nothing of it."""
    left = memoryview(data)
    while left:
        left = left[send_some(timeouts, connection.send, left) :]


def send_some(timeouts: Timeouts, send: Callable[..., int], *arguments: object) -> int:
    """Return what `send` does, or raise StuckPeer."""
    since = 0.0
    while True:
        try:
            return send(*arguments)
        except BlockingIOError:  # the kernel has counted
            since = timeouts.still_stuck(since, kernel_waits(timeouts.write))


def send_file(connection: socket.socket, timeouts: Timeouts, step: SendFile) -> None:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    # Not connection.sendfile(), which makes a selector each time, for sockets with a time-out.
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        descriptors = connection.fileno(), step.file.fileno()
        try:
            sent = send_some(timeouts, os.sendfile, *descriptors, offset, end - offset)
        except StuckPeer:
            raise
        except OSError as error:  # the file cannot be read, or the peer has gone: both end so
            raise CutShort from error
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
