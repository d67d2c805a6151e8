"""The standard library's ThreadingUDPServer: a thread per datagram behind a handler class."""

from __future__ import annotations

__all__ = ["serve"]

from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingUDPServer
from threading import Semaphore

from servers.datagrams import BUSY
from servers.drivers.datagrams import MOST_WAITING, exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from servers.life.mailbox import Mailbox
    from servers.service import Service


class Stopped(Exception):  # noqa: N818 - not an error: the way out of serve_forever()
    """The mailbox has stopped."""


class Server(ThreadingUDPServer):
    """Receives from our mailbox, and starts a thread of its own for each datagram."""

    socket: Mailbox
    daemon_threads = False  # so that the interpreter's end waits for the requests under way
    block_on_close = False  # for it waits even for threads that could not start

    def __init__(self, listener: Mailbox, service: Service) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()  # the one that it had made
        self.socket = listener
        self.conversation = service.datagrams(listener.drops.count)
        self._free = Semaphore(MOST_WAITING)

    def get_request(self) -> tuple[Any, Any]:
        """Receive a datagram; its own way would cut one of more than 8,192 bytes off."""
        for datagram, address in self.socket.arrived(1):
            return (datagram, self.socket), address
        raise BlockingIOError  # which it takes for: not this time

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a datagram, as soon as not too many run."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no further thread can start
            self._free.release()
            self.socket.drops.count(BUSY)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, and make room for another one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def wait(self) -> None:
        """Return when no thread runs any more: they need the mailbox."""
        for _ in range(MOST_WAITING):
            self._free.acquire()

    def service_actions(self) -> None:
        """Leave serve_forever() after a stop: shutdown() would need another thread."""
        if self.socket.stop.begun:
            for datagram, address in self.socket.arrived():
                self.process_request((datagram, self.socket), address)
            raise Stopped


class Handler(BaseRequestHandler):
    """One datagram."""

    request: tuple[bytes, Mailbox]
    server: Server

    def handle(self) -> None:
        """Answer it."""
        datagram, mailbox = self.request
        exchange(mailbox, self.server.conversation, datagram, self.client_address)


def serve(listener: Mailbox, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the mailbox stops."""
    server = Server(listener, service)
    ready()
    with suppress(Stopped):
        server.serve_forever()
    server.wait()
