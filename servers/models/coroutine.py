"""A generator per connection, on a scheduler of our own: one thread, and control by `yield`."""

from __future__ import annotations

import socket
from functools import partial

from servers.blocking import DRAIN_SECONDS, RECEIVE_BYTES
from servers.listener import shut
from servers.scheduler import Scheduler, readable, send_all, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.listener import Listener
    from servers.scheduler import Task
    from servers.service import Service, Session


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    scheduler = Scheduler()
    scheduler.spawn(accept_all(listener, service, scheduler))
    ready()
    scheduler.run()


def accept_all(listener: Listener, service: Service, scheduler: Scheduler) -> Task:
    """Accept connections until the stop, one in a turn."""
    while not listener.stopping:
        yield from readable(listener)
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if not listener.stopping:
                yield from sleep(listener.pause_after(error))
        else:
            connection.setblocking(False)
            scheduler.spawn(converse(connection, service.session(), scheduler))


def converse(connection: socket.socket, session: Session, scheduler: Scheduler) -> Task:
    """Serve one connection to its end, as servers/blocking.py does, and close it."""
    try:
        while not session.closing:
            yield from readable(connection)
            data = connection.recv(RECEIVE_BYTES)
            if not data:
                break
            for step in session.receive(data):
                if isinstance(step, bytes):
                    yield from send_all(connection, step)
                else:
                    yield from sleep(step.seconds)
        if session.closing:
            yield from take_leave(connection, scheduler)
    except OSError:
        pass  # the peer's affair, and the connection is over
    finally:
        scheduler.close(connection)


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
