"""The standard library's ThreadingTCPServer: a thread per connection behind a handler class."""

from __future__ import annotations

__all__ = ["serve"]

from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

from servers.drivers.blocking import converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

    from servers.life.listener import Listener
    from servers.service import Service


class Stopped(Exception):  # noqa: N818 - not an error: the way out of serve_forever()
    """The listener has stopped."""


class Server(ThreadingTCPServer):
    """Accepts from our listener, and starts a thread of its own for each connection."""

    socket: Listener
    daemon_threads = False  # so that the interpreter's end waits for the conversations under way
    block_on_close = False  # for it waits even for threads that could not start

    def __init__(self, listener: Listener, service: Service) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()  # the one that it had made
        self.socket = listener
        self.service = service

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or refuse it."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self.socket.admission.refuse(request, "No further thread can start")

    def service_actions(self) -> None:
        """Leave serve_forever() after a stop: shutdown() would need another thread."""
        if self.socket.stop.begun:
            raise Stopped


class Handler(BaseRequestHandler):
    """One connection."""

    request: socket
    server: Server

    def handle(self) -> None:
        """Serve it to its end."""
        converse(self.request, self.server.service.session())


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops."""
    with Server(listener, service) as server, suppress(Stopped):
        ready()
        server.serve_forever()
