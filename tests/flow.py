"""A plain client of datagrams for tests: sends whatever it is told, reads one answer at a time."""

from __future__ import annotations

import select
import socket
from types import TracebackType
from typing import Self

from servers.protocol import HEADER, HEADER_SIZE, Frame, frame

TIMEOUT_SECONDS = 10.0


class Flow:
    """One address that datagrams go out from and come back to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, datagram: bytes) -> None:
        self.socket.send(datagram)

    def answer(self) -> Frame:
        """Return the next answer, which must be one whole frame."""
        datagram = self.socket.recv(65_536)
        size, kind, flags, tag = HEADER.unpack_from(datagram)
        assert (size, flags) == (len(datagram) - HEADER_SIZE, 0)
        return kind, tag, datagram[HEADER_SIZE:]

    def answers(self, count: int) -> list[Frame]:
        return [self.answer() for _ in range(count)]

    def ask(self, kind: int, tag: int = 0, body: bytes = b"") -> Frame:
        self.send(frame(kind, tag, body))
        return self.answer()

    def has_answer(self) -> bool:
        """Whether an answer is there already."""
        return bool(select.select([self.socket], [], [], 0)[0])
