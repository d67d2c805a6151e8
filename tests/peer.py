"""A plain blocking client for tests: sends bytes or frames, reads one frame at a time."""

from __future__ import annotations

import socket
import struct
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from servers.protocol import Connection, Frame, frame

TIMEOUT_SECONDS = 10.0


class Peer:
    """One connection to a server. Everything that waits gives up after TIMEOUT_SECONDS."""

    def __init__(self, port: int, receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_bytes:  # before the connect, which announces it
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(TIMEOUT_SECONDS)
        try:
            self.socket.connect(("127.0.0.1", port))
        except BaseException:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = Connection()
        self._answers: deque[Frame] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_until_nobody_reads(self, data: bytes, seconds: float = 0.3) -> None:
        """Send and read nothing, until the server is stuck sending."""
        self.socket.settimeout(seconds)
        with suppress(TimeoutError):
            while True:
                self.send(data)
        self.socket.settimeout(TIMEOUT_SECONDS)

    def end(self) -> None:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answer(self) -> Frame:
        """Return the next frame; EOFError when there is none."""
        while not self._answers:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._answers.extend(self._connection.receive(data))
        return self._answers.popleft()

    def answers(self, count: int) -> list[Frame]:
        return [self.answer() for _ in range(count)]

    def ask(self, kind: int, tag: int = 0, body: bytes = b"") -> Frame:
        self.send(frame(kind, tag, body))
        return self.answer()

    def rest(self) -> bytes:
        """Return the bytes up to the end of the connection; only where no frame was read."""
        return b"".join(iter(lambda: self.socket.recv(65_536), b""))

    def is_at_end(self) -> bool:
        """Wait for what comes next, and say whether it is the end."""
        return not self._answers and not self.socket.recv(1)
