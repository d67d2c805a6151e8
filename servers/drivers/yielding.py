"""The conversation of a task of the scheduler; `blocking` has it on a blocking socket."""

from __future__ import annotations

import socket
from functools import partial

from servers.drivers import RECEIVE_BYTES
from servers.drivers.blocking import DRAIN_SECONDS
from servers.drivers.scheduler import Scheduler, readable, send_all, send_file, sleep
from servers.life.listener import shut
from servers.life.timeouts import NO_TIMEOUTS, IdlePeer, StuckPeer, reset_at_close
from servers.steps import CutShort, SendFile

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from servers.drivers.scheduler import Task
    from servers.service import Session


def converse(connection: socket.socket, session: Session, scheduler: Scheduler) -> Task:
    """Serve one connection to its end, and close it."""
    timeouts = session.timeouts or NO_TIMEOUTS
    try:
        try:
            yield from exchange(connection, session)
        except IdlePeer as fault:
            timeouts.count(fault, connection)
            session.closing = True
            yield from send_all(connection, timeouts.last_words())
        if session.closing:
            yield from take_leave(connection, scheduler)
    except StuckPeer as fault:
        timeouts.count(fault, connection)
        reset_at_close(connection)
    except CutShort:
        reset_at_close(connection)
    except OSError:
        pass  # the peer's affair, and the connection is over
    finally:
        session.close()
        scheduler.close(connection)


def exchange(connection: socket.socket, session: Session) -> Task:
    """Answer what arrives until the peer's end or the session's; IdlePeer if nothing does."""
    timeouts = session.timeouts or NO_TIMEOUTS
    unfinished_since = 0.0
    something_to_receive = readable(connection)
    receive = connection.recv
    while not session.closing:
        yield from something_to_receive
        data = receive(RECEIVE_BYTES)
        if not data:
            return
        steps = session.receive(data)
        unfinished_since = 0 if steps else timeouts.still_waiting(unfinished_since)
        for step in steps:
            if isinstance(step, bytes):
                yield from send_all(connection, step)
            elif isinstance(step, SendFile):
                yield from send_file(connection, step)
            else:
                yield from sleep(step.seconds)


def take_leave(connection: socket.socket, scheduler: Scheduler) -> Task:
    """Send the end, and wait for the peer's, but not for long."""
    connection.shutdown(socket.SHUT_WR)
    cut_off = scheduler.call_later(DRAIN_SECONDS, partial(shut, connection, socket.SHUT_RD))
    try:
        while not cut_off.done:
            yield from readable(connection)
            if not connection.recv(RECEIVE_BYTES):
                break
    finally:
        cut_off.cancel()
