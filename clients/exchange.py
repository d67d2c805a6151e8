"""The bytes of a request and of its answer, as functions of a connection and a sequence number.

Both sides of an exchange are known beforehand to the byte, which is what lets the engine verify
everything and store nothing. The engine does the same patching in C.
"""

from __future__ import annotations

from dataclasses import dataclass

from clients.load import REQUEST_KINDS, Load
from servers.protocol import ANSWER, HEADER

MARK_BYTES = 8
"""A payload begins with the sequence number and the connection's, little-endian u32 each."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, complete but for the tag and the mark in the payload."""

    request_head: bytes  # up to the payload
    answer_head: bytes
    payload: bytes
    framed: bool  # the heads begin with a header of WIRE.md, so there are tags and error frames
    upper: bool  # the answer's payload is upper case

    @classmethod
    def of(cls, load: Load) -> Exchange:
        """Return the exchange that `load` repeats."""
        size = load.size - load.length_prefix
        payload = (_PATTERN * (size // len(_PATTERN) + 1))[:size]
        if load.framing == "rawecho":
            prefix = size.to_bytes(load.length_prefix, "big") if load.length_prefix else b""
            return cls(prefix, prefix, payload, framed=False, upper=False)
        kind = REQUEST_KINDS[load.kind]
        argument = load.argument.to_bytes(4, "big") if load.kind in {"COMPUTE", "WAIT"} else b""
        return cls(
            HEADER.pack(len(argument) + size, kind, 0, 0) + argument,
            HEADER.pack(size, kind | ANSWER, 0, 0),
            payload,
            framed=True,
            upper=load.kind == "UPPER",
        )

    def request(self, connection: int, sequence: int) -> bytes:
        """Return the bytes of request `sequence` on `connection`."""
        return self._tagged(self.request_head, sequence) + self._marked(connection, sequence)

    def answer(self, connection: int, sequence: int) -> bytes:
        """Return the bytes that must answer request `sequence` on `connection`."""
        payload = self._marked(connection, sequence)
        return self._tagged(self.answer_head, sequence) + (
            payload.upper() if self.upper else payload
        )

    def _tagged(self, head: bytes, sequence: int) -> bytes:
        if not self.framed:
            return head
        size, kind, flags, _ = HEADER.unpack_from(head)
        return HEADER.pack(size, kind, flags, sequence % 65_536) + head[HEADER.size :]

    def _marked(self, connection: int, sequence: int) -> bytes:
        mark = (sequence % 2**32).to_bytes(4, "little") + connection.to_bytes(4, "little")
        return (mark + self.payload[MARK_BYTES:])[: len(self.payload)]


# Any bytes do; these have lower-case letters for UPPER, and no short period.
_PATTERN = bytes((17 + 31 * index + index // 251) % 256 for index in range(65_536))
