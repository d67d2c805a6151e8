"""A single connection, or flow of datagrams, in plain Python: does a server answer, and how soon.

It blocks, checks what comes back, and does nothing in between, so that it can also stand in a
timed loop.
"""

from __future__ import annotations

__all__ = ["Probe"]

import socket
from types import TracebackType
from typing import Self

from clients.load import REQUEST_KINDS
from servers import protocol

ECHO = REQUEST_KINDS["ECHO"]
ANSWER = 128  # an answer's kind is its request's with this bit set (docs/wire.md)


def _connection(host: str, port: int, timeout_seconds: float) -> socket.socket:
    connection = socket.create_connection((host, port), timeout_seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _flow(host: str, port: int, timeout_seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    flow = socket.socket(family, socket.SOCK_DGRAM)
    flow.settimeout(timeout_seconds)
    flow.connect((host, port))
    return flow


OPENED = {"tcp": _connection, "udp": _flow}
"""By transport: a socket on which the frames of an answer arrive."""


class Probe:
    """An open connection to a server; OSError when it cannot be had."""

    def __init__(
        self, host: str, port: int, transport: str = "tcp", timeout_seconds: float = 10.0
    ) -> None:
        self._socket = OPENED[transport](host, port, timeout_seconds)
        self._frames = protocol.Connection()
        self._tag = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def echo(self, payload: bytes) -> None:
        """Make one round trip; ConnectionError when anything but the echo comes back."""
        self._tag = (self._tag + 1) & 0xFFFF
        self._socket.sendall(protocol.frame(ECHO, self._tag, payload))
        frames: list[tuple[int, int, bytes]] = []
        while not frames:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection instead of answering")
            frames = self._frames.receive(data)
        if frames != [(ECHO | ANSWER, self._tag, payload)]:
            raise ConnectionError(f"the server answered an ECHO with kind {frames[0][0]}")

    def end(self) -> None:
        """End the stream and wait until the server has ended its own; OSError when it does not.

        A server that has read the end of a stream is in another state than a fresh one: see
        docs/method.md, "A server that has served".
        """
        self._socket.shutdown(socket.SHUT_WR)
        while self._socket.recv(65536):
            pass

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
