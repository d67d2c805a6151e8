"""gevent's StreamServer: a greenlet per connection, on sockets of gevent's own."""

from __future__ import annotations

__all__ = ["GREENLETS", "serve"]

import os
from contextlib import suppress
from functools import partial
from time import monotonic

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket, wait_read, wait_write

from servers.drivers.blocking import READ, Waiting, converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.running import Child
    from servers.life.listener import Listener
    from servers.service import Service
    from servers.steps import Run


def wait_until(connection: socket, event: int, seconds: float | None) -> None:
    """Wait for READ or WRITE to come to a socket, but no longer than so many seconds."""
    wait = wait_read if event == READ else wait_write
    with suppress(TimeoutError):  # the caller looks at the clock
        wait(connection.fileno(), timeout=seconds)


def have_calls_fail_at_once(connection: socket) -> None:
    """Have a call that cannot go on raise BlockingIOError."""
    connection.setblocking(False)


FOREVER = 86_400.0
"""As long as the conversations take: the end of the grace is what bounds them."""


def start_child(run: Run) -> Child:
    """Start a program by gevent's own subprocess, which forks."""
    from gevent.subprocess import Popen

    from servers.drivers.running import Child  # with subprocess, which few servers need

    return Child(run, Popen)


GREENLETS = Waiting(gevent.sleep, wait_until, have_calls_fail_at_once, os.sendfile, start_child)
"""A greenlet waits in the hub, and the others go on."""


TURN_SECONDS = 0.005
"""For so long a greenlet may answer what has arrived before the others go on."""


class Connection(socket):  # type: ignore[misc]  # gevent ships no types
    """A socket whose greenlet lets the others have a turn: nobody takes the CPU from it."""

    _turn_ends = 0.0

    def send(self, *arguments: object) -> int:
        """Send what the kernel takes now or a little later."""
        sent: int = super().send(*arguments)
        if monotonic() > self._turn_ends:
            gevent.sleep(0)
            self._turn_ends = monotonic() + TURN_SECONDS
        return sent


class Server(StreamServer):  # type: ignore[misc]  # gevent ships no types
    """Accepts from our listener, which does not block, and wraps what it gets."""

    def __init__(self, listener: Listener, service: Service) -> None:
        self.conversations = Pool()
        super().__init__(listener, partial(self.converse, service), spawn=self.conversations)

    def do_read(self) -> tuple[socket, object] | None:
        """Return a connection, or nothing when there is none to be had for now."""
        listener: Listener = self.socket
        try:
            connection, address = listener.accept()
        except OSError as error:
            if listener.stop.begun:
                self.close()
            elif pause_seconds := listener.admission.pause_after(error):
                self.stop_accepting()
                self._timer = self.loop.timer(pause_seconds)
                self._timer.start(self._start_accepting_if_started)
            return None
        ours = Connection(fileno=connection.detach())
        listener.admission.adopt(ours)
        return ours, address

    @staticmethod
    def converse(service: Service, connection: socket, _: object) -> None:
        """Serve a connection to its end."""
        converse(connection, service.session(), GREENLETS)


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    server = Server(listener, service)
    server.start()
    ready()
    server.serve_forever(stop_timeout=FOREVER)
