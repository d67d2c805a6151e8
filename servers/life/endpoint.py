"""The socket that a server listens on, and what every connection from it is set up with."""

from __future__ import annotations

__all__ = ["DEFAULT_BACKLOG", "Endpoint", "set_up"]

import os
import socket

from servers.life.stopping import shut

DEFAULT_BACKLOG = 1024


class Endpoint(socket.socket):
    """A listening TCP socket, or one of several at an address."""

    def __init__(self, host: str, port: int, backlog: int = DEFAULT_BACKLOG) -> None:
        """Bind and listen; port 0 takes a free one. OSError when that cannot be."""
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.backlog = backlog
        self._others: list[socket.socket] = []
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind((host, port))
            self.listen(backlog)
        except OSError:
            self.close()
            raise

    def listen_times(self, count: int) -> None:
        """Have `count` sockets listen at this address, each with a backlog of its own.

        The kernel hands a new connection to one of them by a hash over its addresses and ports,
        whether anybody is free there or not. Allowed from here on only, when the address is bound:
        or another server of the same user could have had the port as well.
        """
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(count - 1):
            other = socket.socket(self.family, self.type)
            self._others.append(other)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(self.getsockname())
            other.listen(self.backlog)

    def keep_only(self, number: int) -> None:
        """In a child just forked: go on with the socket of this number alone, if several listen."""
        if number and self._others:
            os.dup2(self._others[number - 1].fileno(), self.fileno(), inheritable=False)
        for other in self._others:
            other.close()
        self._others.clear()

    def end(self) -> None:
        """Listen no more, also in the processes that share these sockets."""
        for each in (self, *self._others):
            shut(each, socket.SHUT_RDWR)


def set_up(connection: socket.socket) -> None:
    """Have a connection send each answer at once."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
