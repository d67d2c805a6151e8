"""The bytes of a request and of its answer, as functions of a connection and a sequence number.

Both sides of an exchange are known beforehand to the byte, which is what lets the engine verify
everything and store nothing. The engine does the same patching in C.

A file's content is a function of its size, so the transfer of a file is known beforehand as well:
all the frames of a GET's answer, or of a PUT, are one message, the same each time. Every connection
puts the same name: each upload is a file of its own until it is renamed, so nothing is shared that
several names would keep apart, and a run leaves one file behind, however long it was.

What a command does nothing about is known, too: one frame, the same each time. It would not be if
the command took longer than a beat of the server's (docs/wire.md, "Commands"): that is a mismatch.
"""

from __future__ import annotations

__all__ = ["COMMAND", "Exchange", "file_content", "file_name"]

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from clients.load import REQUEST_KINDS
from reports.load import Load
from servers.protocol import (
    ANSWER,
    DATA,
    DATA_BYTES,
    END,
    EXEC,
    GET,
    HEADER,
    META,
    PUT,
    frame,
    json_body,
)

COMMAND = "nothing"
"""The name of the command that a load asks for; whoever serves it has it do nothing."""
MARK_BYTES = 8
"""A payload begins with the sequence number and the connection's, little-endian u32 each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One direction of an exchange: equal bytes each time, but for the tag and the mark."""

    head: bytes = b""  # up to the payload
    payload: bytes
    framed: bool = True  # it consists of frames of docs/wire.md, with no payload: of one
    marked: bool = True  # the payload begins with the mark; False: the same bytes each time
    upper: bool = False  # the payload is in upper case

    @property
    def tagged(self) -> bool:
        """Whether the tag is the sequence number's; else it is always the same."""
        return self.framed and self.marked

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.head) + len(self.payload)

    def bytes_of(self, connection: int, sequence: int) -> bytes:
        """Return the message number `sequence` on `connection`."""
        if not self.marked:
            return self.head + self.payload
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
        if load.framing == "rawecho":
            return _raw_echo(load.size_bytes, load.length_prefix)
        return _FIXED.get(load.kind, _exchange)(load)


def _raw_echo(size: int, length_prefix: int) -> Exchange:
    payload = _payload(size - length_prefix)
    prefix = len(payload).to_bytes(length_prefix, "big") if length_prefix else b""
    message = Message(head=prefix, payload=payload, framed=False)
    return Exchange(message, message)


def _exchange(load: Load) -> Exchange:
    kind = REQUEST_KINDS[load.kind]
    argument = load.argument.to_bytes(4, "big") if load.kind in {"COMPUTE", "WAIT"} else b""
    payload = _payload(load.size_bytes)
    return Exchange(
        Message(
            head=HEADER.pack(len(argument) + load.size_bytes, kind, 0, 0) + argument,
            payload=payload,
        ),
        Message(
            head=HEADER.pack(load.size_bytes, kind | ANSWER, 0, 0),
            payload=payload,
            upper=load.kind == "UPPER",
        ),
    )


def _get(load: Load) -> Exchange:
    request = frame(GET, 0, file_name(load.size_bytes).encode())
    return Exchange(
        Message(payload=request, marked=False),
        Message(payload=_transfer(load.size_bytes), marked=False),
    )


def _put(load: Load) -> Exchange:
    name = file_name(load.size_bytes)
    values = {"name": name, "size": load.size_bytes, "sha256": _digest(load.size_bytes)}
    return Exchange(
        Message(payload=frame(PUT, 0, name.encode()) + _transfer(load.size_bytes), marked=False),
        Message(payload=frame(PUT | ANSWER, 0, json_body(values)), marked=False),
    )


def _exec(_load: Load) -> Exchange:
    values = {
        "exit": 0,
        "signal": 0,
        "stderr": "",
        "cut": False,
        "sha256": hashlib.sha256().hexdigest(),
    }
    return Exchange(
        Message(payload=frame(EXEC, 0, COMMAND.encode()), marked=False),
        Message(payload=frame(EXEC | ANSWER, 0, json_body(values)), marked=False),
    )


_FIXED = {"GET": _get, "PUT": _put, "EXEC": _exec}
"""Requests that are the same each time."""


def file_name(size: int) -> str:
    """Return the name of the file of `size` bytes that a load gets or puts."""
    return f"threadmill-{size}.bin"


def file_content(size: int) -> Iterator[bytes]:
    """Give the content of that file in pieces of DATA_BYTES; whoever serves GETs writes it."""
    bytes_ = random.Random(size).randbytes  # noqa: S311  # no secret; no period, however long
    for start in range(0, size, DATA_BYTES):
        yield bytes_(min(DATA_BYTES, size - start))


def _digest(size: int) -> str:
    digest = hashlib.sha256()
    for piece in file_content(size):
        digest.update(piece)
    return digest.hexdigest()


def _transfer(size: int) -> bytes:
    """Return the frames that carry the file, either way."""
    return b"".join(
        (
            frame(META, 0, json_body({"name": file_name(size), "size": size})),
            *(frame(DATA, 0, piece) for piece in file_content(size)),
            frame(END, 0, json_body({"sha256": _digest(size)})),
        )
    )


# Any bytes do; these have lower-case letters for UPPER, and no short period.
_PATTERN = bytes((17 + 31 * index + index // 251) % 256 for index in range(65_536))


def _payload(size: int) -> bytes:
    return (_PATTERN * (size // len(_PATTERN) + 1))[:size]
