"""The framing of the wire: bytes in, frames out, and no socket anywhere near.

A frame is an 8-byte header (size of the body, kind, flags, tag) and the body. Frames travel
through the program as plain tuples (kind, tag, body), because richer objects cost more than the
differences between models that the suite exists to show.

Strategy: bytes that make whole frames are cut straight out of what was received. The pieces of an
unfinished frame are held as they came and joined once, when the last one is there: to grow a buffer
instead costs page faults for every body of some 100 KiB, and with them half of its throughput.

Both sides of a connection can use this module: requests and answers are framed alike.
"""

from __future__ import annotations

__all__ = [
    "ANSWER",
    "BYE",
    "COMPUTE",
    "DATA",
    "DATA_BYTES",
    "DEFAULT_LIMIT",
    "ECHO",
    "END",
    "ERROR",
    "EXEC",
    "FAULT",
    "GET",
    "HEADER",
    "HEADER_SIZE",
    "LIST",
    "META",
    "PUT",
    "UPPER",
    "WAIT",
    "BodyError",
    "BusyError",
    "ChangedError",
    "CommandsBusyError",
    "Connection",
    "DigestError",
    "Frame",
    "IdleError",
    "KindError",
    "LimitError",
    "NameRefusedError",
    "NoCommandError",
    "NoExecError",
    "NoRootError",
    "NotFileError",
    "NotFoundError",
    "ProtocolError",
    "RequestError",
    "SizeError",
    "StateError",
    "StorageError",
    "frame",
    "framing_fault",
    "json_body",
    "pack_header",
]

from functools import cache
from struct import Struct

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER = Struct("!IBBH")
"""Size of the body, kind, flags (always 0), tag; big-endian."""
HEADER_SIZE = HEADER.size
# Bound once: looking the method up costs a tenth of cutting a small frame out.
unpack_header = HEADER.unpack_from
pack_header = HEADER.pack

ECHO = 1
UPPER = 2
COMPUTE = 3
WAIT = 4
EXEC = 5
GET = 16
PUT = 17
LIST = 18
META = 32
DATA = 33
END = 34
BYE = 64
ANSWER = 128
"""What is added to the kind of a request to make the kind of its answer."""
ERROR = 255
FAULT = 256
"""Not a kind on the wire, where it would not fit: the frame after which nothing can be read."""

DEFAULT_LIMIT = 16 * 2**20
"""Bytes in the body of a frame."""
DATA_BYTES = 256 * 1024
"""Bytes of a file in one DATA frame, at most."""
SMALL_BYTES = 1024
"""Pieces of an unfinished frame are held one by one from this size on."""
LIMITS = {META: 4096, DATA: DATA_BYTES, END: 4096}
"""Bytes in the body of a frame of these kinds, whatever the others may have; META and END are JSON
of a name of 255 bytes or a digest, for which 4 KiB is ample however it is escaped."""

Frame = tuple[int, int, bytes]
"""Kind, tag, body."""


class ProtocolError(Exception):
    """The peer's request cannot be answered as asked; its message is the sentence it is sent.

    ProtocolError
     ├── FramingError      the end of the frame cannot be trusted: the server closes
     │    ├── OversizeError
     │    └── FlagsError
     ├── RequestError      the frame was whole: the connection goes on
     │    ├── KindError
     │    ├── BodyError
     │    ├── LimitError
     │    ├── NoRootError, NameRefusedError, NotFoundError, NotFileError,
     │    │   DigestError, SizeError, StorageError, ChangedError
     │    └── NoExecError, NoCommandError, CommandsBusyError
     ├── StateError        the two sides no longer agree where they are: the server closes
     └── BusyError, IdleError    not about a request: the server will not wait, and closes
    """

    code: int

    def body(self) -> bytes:
        """Return the body of the ERROR frame that tells the peer."""
        return self.code.to_bytes(2, "big") + str(self).encode()


class FramingError(ProtocolError):
    """Nothing after this frame's header can be read as frames."""


class OversizeError(FramingError):
    """The header announces a body over the limit."""

    code = 1


class FlagsError(FramingError):
    """The header has flags, and there are none yet."""

    code = 2


class RequestError(ProtocolError):
    """The frame is well formed, the request in it is not."""


class KindError(RequestError):
    """No request is of this kind."""

    code = 3


class BodyError(RequestError):
    """The body is too short for a request of its kind."""

    code = 4


class LimitError(RequestError):
    """The request asks for more than anyone may have."""

    code = 5


class NoRootError(RequestError):
    """The server has no files."""

    code = 6


class NameRefusedError(RequestError):
    """The name cannot be that of a file under the root."""

    code = 7


class NotFoundError(RequestError):
    """There is no file of this name."""

    code = 8


class NotFileError(RequestError):
    """What has this name is not a regular file."""

    code = 9


class DigestError(RequestError):
    """What arrived has another digest than END says."""

    code = 10


class SizeError(RequestError):
    """What arrived has another size than META says."""

    code = 11


class StorageError(RequestError):
    """The file system would not do it: full, read-only, broken."""

    code = 12

    @classmethod
    def of(cls, error: OSError) -> StorageError:
        """Return what the peer may know of an error: not the paths in it."""
        return cls(f"The file system says: {error.strerror}.")


class ChangedError(RequestError):
    """The file changed while it was sent."""

    code = 13


class StateError(ProtocolError):
    """A frame of a known kind that may not come now."""

    code = 14


class BusyError(ProtocolError):
    """The server has as many connections as it will or can have."""

    code = 15


class IdleError(ProtocolError):
    """The peer has kept the server waiting for too long."""

    code = 16


class NoExecError(RequestError):
    """The server runs no commands."""

    code = 18


class NoCommandError(RequestError):
    """There is no command of this name, or none that can be started."""

    code = 19


class CommandsBusyError(RequestError):
    """As many commands run as may; a connection that is refused gets the same code."""

    code = BusyError.code


def frame(kind: int, tag: int, body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return pack_header(len(body), kind, 0, tag) + body


def json_body(values: Mapping[str, object] | Sequence[Mapping[str, object]]) -> bytes:
    """Return `values` as every body in JSON is written: equal values, equal bytes."""
    import json  # a server without files has no use for it

    return json.dumps(values, ensure_ascii=False).encode()


def framing_fault(size: int, flags: int, limit: int) -> FramingError:
    """Return what is wrong with a header that announces so many bytes, or has flags."""
    if size > limit:
        return OversizeError(f"A body of {size} bytes is over the limit of {limit}.")
    return FlagsError(f"The flags must be 0, not {flags}.")


@cache
def limits_by_kind(limit: int) -> tuple[int, ...]:
    """Return how long the body of a frame of each kind may be, where `limit` holds for most."""
    return tuple(min(limit, LIMITS.get(kind, limit)) for kind in range(ERROR + 1))


class Connection:
    """The receiving half of a connection: what arrives, in pieces of any size, becomes frames."""

    __slots__ = ("_faulty", "_head", "_limits", "_missing", "_pieces")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Refuse bodies of more than `limit` bytes, or of what their kind may have."""
        self._limits = limits_by_kind(limit)
        # Of an unfinished frame: what has come of its body, and of its header as long as that is
        # unfinished itself; how many bytes either lacks.
        self._pieces: list[bytes | bytearray] = []
        self._head: tuple[int, int] | None = None  # kind and tag, once the header is there
        self._missing = 0
        self._faulty = False

    def receive(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes, in order.

        A header that breaks the framing becomes a last frame (FAULT, its tag, the body of the
        ERROR to send), so that it is answered in its turn. What follows it is thrown away.
        """
        frames: list[Frame] = []
        start = 0
        if missing := self._missing:
            if len(data) < missing:
                self._hold(data)
                return frames
            self._missing = 0
            if self._head:
                frames.append((*self._head, self._joined(data[:missing])))
                start = missing
            else:
                data = self._joined(data)
        elif self._faulty:
            return frames
        end = len(data)
        limits = self._limits
        while (body := start + HEADER_SIZE) <= end:
            size, kind, flags, tag = unpack_header(data, start)
            if flags or size > limits[kind]:
                self._faulty = True
                frames.append((FAULT, tag, framing_fault(size, flags, limits[kind]).body()))
                return frames
            stop = body + size
            if stop > end:
                self._head = kind, tag
                self._missing = stop - end
                self._pieces.append(data[body:])
                return frames
            frames.append((kind, tag, data[body:stop]))
            start = stop
        if start < end:
            self._head = None
            self._missing = HEADER_SIZE - (end - start)
            self._pieces.append(data[start:])
        return frames

    def _hold(self, data: bytes) -> None:
        """Keep a piece; small ones together, or a body that comes by the byte takes 40 times it."""
        self._missing -= len(data)
        if len(data) >= SMALL_BYTES:
            self._pieces.append(data)
        elif isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def _joined(self, last: bytes) -> bytes:
        """Return the pieces and the last one as a whole, and hold nothing any more."""
        self._pieces.append(last)
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole
