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


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One direction of an exchange: equal bytes each time, but for the tag and the mark."""

    head: bytes  # up to the payload
    payload: bytes
    tagged: bool  # the head begins with a header of WIRE.md, whose tag is the sequence number's
    upper: bool = False  # the payload is in upper case

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.head) + len(self.payload)

    def bytes_of(self, connection: int, sequence: int) -> bytes:
        """Return the message number `sequence` on `connection`."""
        head = self.head
        if self.tagged:
            size, kind, flags, _ = HEADER.unpack_from(head)
            head = HEADER.pack(size, kind, flags, sequence % 65_536) + head[HEADER.size :]
        mark = (sequence % 2**32).to_bytes(4, "little") + connection.to_bytes(4, "little")
        payload = (mark + self.payload[MARK_BYTES:])[: len(self.payload)]
        return head + (payload.upper() if self.upper else payload)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the answer that it must have."""

    request: Message
    answer: Message

    @classmethod
    def of(cls, load: Load) -> Exchange:
        """Return the exchange that `load` repeats."""
        size = load.size - load.length_prefix
        payload = (_PATTERN * (size // len(_PATTERN) + 1))[:size]
        if load.framing == "rawecho":
            prefix = size.to_bytes(load.length_prefix, "big") if load.length_prefix else b""
            message = Message(head=prefix, payload=payload, tagged=False)
            return cls(message, message)
        kind = REQUEST_KINDS[load.kind]
        argument = load.argument.to_bytes(4, "big") if load.kind in {"COMPUTE", "WAIT"} else b""
        return cls(
            Message(
                head=HEADER.pack(len(argument) + size, kind, 0, 0) + argument,
                payload=payload,
                tagged=True,
            ),
            Message(
                head=HEADER.pack(size, kind | ANSWER, 0, 0),
                payload=payload,
                tagged=True,
                upper=load.kind == "UPPER",
            ),
        )


# Any bytes do; these have lower-case letters for UPPER, and no short period.
_PATTERN = bytes((17 + 31 * index + index // 251) % 256 for index in range(65_536))
