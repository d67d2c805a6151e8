"""The standard library's TCP servers, a thread or a forked process per connection behind a handler.

Which of the two is the row's to say. ForkingTCPServer looks after its children when it accepts and
twice a second, asking for each of them; unless told otherwise it would accept nobody while it has
40, and wait.
"""

from __future__ import annotations

__all__ = ["serve"]

import signal
import sys
from contextlib import suppress
from socketserver import BaseRequestHandler, ForkingTCPServer, TCPServer, ThreadingTCPServer

from servers.drivers.blocking import converse
from servers.life.children import signals_held
from servers.life.parent import Lifeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

    from servers.life.listener import Listener
    from servers.service import Service


class Stopped(Exception):  # noqa: N818 - not an error: the way out of serve_forever()
    """The listener has stopped."""


class Server(TCPServer):
    """Accepts from our listener, and starts something of its own for each connection."""

    socket: Listener
    starts: str

    def __init__(self, listener: Listener, service: Service) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()  # the one that it had made
        self.socket = listener
        self.service = service

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start what serves a connection, or refuse it."""
        try:
            super().process_request(request, client_address)
        except (OSError, RuntimeError):
            self.socket.admission.refuse(request, f"No further {self.starts} can start")

    def service_actions(self) -> None:
        """Leave serve_forever() after a stop: shutdown() would need another thread."""
        super().service_actions()
        if self.socket.stop.begun:
            raise Stopped


class Threading(Server, ThreadingTCPServer):
    """A thread per connection."""

    starts = "thread"
    daemon_threads = False  # so that the interpreter's end waits for the conversations under way
    block_on_close = False  # for it waits even for threads that could not start


class Forking(Server, ForkingTCPServer):
    """A process per connection."""

    starts = "process"
    max_children = sys.maxsize
    active_children: set[int] | None

    def __init__(self, listener: Listener, service: Service) -> None:
        super().__init__(listener, service)
        self._lifeline = Lifeline()
        self.active_children = set()
        listener.stop.children = self.active_children.copy
        listener.admission.elsewhere = self._living

    def _living(self) -> int:
        self.collect_children()
        return len(self.active_children or ())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Fork; a stop must wait until the child is known."""
        with signals_held() as self._unmasked:
            super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the child: leave all else to the parent, and serve the connection."""
        self._lifeline.hold_soon()
        self.socket.leave_to_parent(keep=request)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._unmasked)
        super().finish_request(request, client_address)


class Handler(BaseRequestHandler):
    """One connection."""

    request: socket
    server: Server

    def handle(self) -> None:
        """Serve it to its end."""
        converse(self.request, self.server.service.session())


def serve(
    listener: Listener, service: Service, ready: Callable[[], None], *, forks: bool = False
) -> None:
    """Serve until the listener stops, with threads or with forked processes."""
    kind = Forking if forks else Threading
    with kind(listener, service) as server, suppress(Stopped):
        ready()
        server.serve_forever()
