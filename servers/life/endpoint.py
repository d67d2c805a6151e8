"""The socket that a server listens on, and what every connection from it is set up with."""

from __future__ import annotations

__all__ = ["DEFAULT_BACKLOG", "Endpoint", "set_up", "shut"]

import socket
from contextlib import suppress

DEFAULT_BACKLOG = 1024


class Endpoint(socket.socket):
    """A listening TCP socket."""

    def __init__(self, host: str, port: int, backlog: int = DEFAULT_BACKLOG) -> None:
        """Bind and listen; port 0 takes a free one. OSError when that cannot be."""
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.backlog = backlog
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind((host, port))
            self.listen(backlog)
        except OSError:
            self.close()
            raise


def set_up(connection: socket.socket) -> None:
    """Have a connection send each answer at once."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def shut(connection: socket.socket, how: int) -> None:
    """Shut one or both directions of a socket that may have been reset or closed by now."""
    with suppress(OSError):
        connection.shutdown(how)
