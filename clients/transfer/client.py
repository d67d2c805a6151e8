"""The file client: GET, PUT and LIST over one plain blocking socket (docs/wire.md).

A GET is written beside its destination under a name of its own, checked against the announced size
and digest, made safe on the disk, and only then renamed: under its final name there is the old
file, if there was one, or the whole new one. Nothing is resumed. Either way a file passes through
in pieces of at most DATA_BYTES, so memory does not grow with it.

Errors say whose fault they are, because each is for somebody else to mend:

TransferError
 ├── PeerError       the server refused, broke the rules, or went away
 ├── UserError       what was asked for cannot be: no such file, no such host
 └── MachineError    this machine could not do it: a full disk
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import select
import socket
import stat
from collections import deque
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from servers.protocol import (
    ANSWER,
    DATA,
    DATA_BYTES,
    DEFAULT_LIMIT,
    END,
    ERROR,
    FAULT,
    GET,
    LIST,
    META,
    PUT,
    Connection,
    Frame,
    frame,
    json_body,
)

TIMEOUT_SECONDS = 30.0
"""How long a server may say nothing, and take nothing."""
NAME_BYTES = 255
TAG = 1  # one request per connection needs no other


class TransferError(Exception):
    """A transfer that did not happen; the message is one sentence, the code the command's exit."""

    exit_code: int


class PeerError(TransferError):
    """The server refused, broke the rules, or went away."""

    exit_code = 1


class UserError(TransferError):
    """What was asked for cannot be."""

    exit_code = 2


class MachineError(TransferError):
    """This machine could not do it."""

    exit_code = 3


class Entry(NamedTuple):
    """A file that a server has."""

    name: str
    size: int


class Transferred(NamedTuple):
    """A file that has arrived whole, on whichever side it was to."""

    name: str
    size: int
    sha256: str


Progress = Callable[[int, int], None]
"""Called with the bytes moved so far, and with those of the whole file."""


def _unseen(_moved: int, _size: int) -> None:
    pass


def get(
    host: str,
    port: int,
    name: str,
    destination: Path,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    progress: Progress = _unseen,
) -> Transferred:
    """Fetch the file `name` to `destination`, which a failure leaves as it was; TransferError."""
    request = frame(GET, TAG, _encoded(name))
    target = _resolved(destination)
    with _Conversation(host, port, timeout_seconds, DATA_BYTES) as server:
        server.send(request)
        size = _announced_size(server.expect(META), name)
        with _replacing(target) as file:
            digest = hashlib.sha256()
            moved = 0
            progress(moved, size)
            for piece in server.pieces(size):
                digest.update(piece)
                with _local(target):
                    _write(file, piece)
                moved += len(piece)
                progress(moved, size)
            if _text(server.json(END), "sha256") != digest.hexdigest():
                raise PeerError(
                    f"The bytes of {name!r} are not those that the server's digest is of."
                )
    return Transferred(name, size, digest.hexdigest())


def put(
    host: str,
    port: int,
    path: Path,
    name: str = "",
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    progress: Progress = _unseen,
) -> Transferred:
    """Send the file at `path`, to be called `name` (its own name if empty); TransferError."""
    name = name or path.name
    encoded = _encoded(name)
    with _opened(path) as file, _Conversation(host, port, timeout_seconds, DEFAULT_LIMIT) as server:
        before = os.fstat(file.fileno())
        size = before.st_size
        server.send(frame(PUT, TAG, encoded))
        server.send(frame(META, TAG, json_body({"name": name, "size": size})))
        digest = hashlib.sha256()
        progress(0, size)
        for start in range(0, size, DATA_BYTES):
            with _local(path):
                piece = file.read(min(DATA_BYTES, size - start))
            if start + len(piece) < min(start + DATA_BYTES, size):
                raise UserError(f"{path} became shorter while it was sent.")
            digest.update(piece)
            server.check_not_refused()
            server.send(frame(DATA, TAG, piece))
            progress(start + len(piece), size)
        if _identity(os.fstat(file.fileno())) != _identity(before):
            raise UserError(f"{path} changed while it was sent.")
        sent = Transferred(name, size, digest.hexdigest())
        server.send(frame(END, TAG, json_body({"sha256": sent.sha256})))
        if server.json(PUT | ANSWER) != sent._asdict():
            raise PeerError(f"The server says that it has stored something else than {name!r}.")
    return sent


def list_files(host: str, port: int, *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Entry]:
    """Return the files that the server has, sorted by name; TransferError."""
    with _Conversation(host, port, timeout_seconds, DEFAULT_LIMIT) as server:
        server.send(frame(LIST, TAG))
        values = server.json(LIST | ANSWER)
        if not isinstance(values, list):
            raise PeerError("The server's list of files is no list.")
        return [Entry(_text(value, "name"), _size(value)) for value in values]


# The conversation.


class _Conversation:
    """A connection for one request. Whatever goes wrong on it is a PeerError, but for the host."""

    def __init__(self, host: str, port: int, timeout_seconds: float, limit: int) -> None:
        try:
            with _remote():
                self._socket = socket.create_connection((host, port), timeout_seconds)
        except socket.gaierror as error:
            raise UserError(f"There is no address for {host!r}: {error.strerror}.") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framing = Connection(limit)
        self._frames: deque[Frame] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            with _remote():
                self._socket.sendall(data)
        except PeerError:
            # A server that closes says why, if it can, before it does.
            with contextlib.suppress(PeerError):
                self._fill()
            self._raise_refusal()
            raise

    def check_not_refused(self) -> None:
        """Raise what the server has to say in the middle of an upload: only a refusal."""
        if select.select([self._socket], [], [], 0)[0]:
            kind, _ = self._next()
            raise PeerError(f"The server sent a frame of kind {kind} in the middle of an upload.")

    def expect(self, kind: int) -> bytes:
        """Return the body of the next frame, which must be of this kind."""
        got, body = self._next()
        if got != kind:
            raise PeerError(f"The server sent a frame of kind {got} where {kind} was due.")
        return body

    def json(self, kind: int) -> Any:
        """Return the value in the next frame, which must be of this kind."""
        return _parsed(self.expect(kind))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Give the bodies of the DATA frames of a file of `size` bytes."""
        left = size
        while left:
            piece = self.expect(DATA)
            if not 0 < len(piece) <= left:
                raise PeerError(f"The server sent {len(piece)} bytes where {left} were left.")
            left -= len(piece)
            yield piece

    def _next(self) -> tuple[int, bytes]:
        while not self._frames:
            self._fill()
        self._raise_refusal()
        kind, tag, body = self._frames.popleft()
        if kind == FAULT:
            raise PeerError(f"The server broke the framing: {_sentence(body)}")
        if tag != TAG:
            raise PeerError(f"The server answered request {tag}, which was never made.")
        return kind, body

    def _fill(self) -> None:
        with _remote():
            data = self._socket.recv(DATA_BYTES)
        if not data:
            raise PeerError("The server closed the connection before the end.")
        self._frames.extend(self._framing.receive(data))

    def _raise_refusal(self) -> None:
        if self._frames and self._frames[0][0] == ERROR:
            _, _, body = self._frames[0]
            raise PeerError(f"The server refused: {_sentence(body)}")


@contextlib.contextmanager
def _remote() -> Iterator[None]:
    """Turn what befalls a socket into an error of the peer's."""
    try:
        yield
    except socket.gaierror:
        raise
    except TimeoutError as error:
        raise PeerError("The server did not answer in time.") from error
    except OSError as error:
        raise PeerError(f"The connection failed: {error.strerror}.") from error


# What a peer says, checked.


def _sentence(body: bytes) -> str:
    """Return the words of an error; they may be anybody's, so nothing a terminal would obey."""
    words = body[2:].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in words) or "it does not say why"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise PeerError("The server sent something that is not JSON.") from error


def _text(value: Any, key: str) -> str:
    text = value.get(key) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise PeerError(f"The server sent no {key}.")
    return text


def _size(value: Any) -> int:
    size = value.get("size") if isinstance(value, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise PeerError("The server sent no size.")
    return size


def _announced_size(body: bytes, name: str) -> int:
    value = _parsed(body)
    if _text(value, "name") != name:
        raise PeerError(f"The server sent another file than {name!r}.")
    return _size(value)


# Local files.


def _encoded(name: str) -> bytes:
    """Return a name as it travels; UserError when no server could take it."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"The name {name!r} is not UTF-8.") from error
    if not encoded or len(encoded) > NAME_BYTES or b"\0" in encoded:
        raise UserError(f"The name must have 1 to {NAME_BYTES} bytes, and no NUL.")
    return encoded


_USERS_FAULT = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


@contextlib.contextmanager
def _local(path: Path) -> Iterator[None]:
    """Turn what befalls a file into an error of the user's or of the machine's."""
    try:
        yield
    except OSError as error:
        fault = UserError if isinstance(error, _USERS_FAULT) else MachineError
        raise fault(f"{path}: {error.strerror}.") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read; nothing but a file, and a FIFO's opening would wait."""
    with _local(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path} is not a file.")
        with path.open("rb") as file:
            yield file


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _resolved(destination: Path) -> Path:
    """Return the file that `destination` stands for: a link stays, what it leads to is replaced."""
    with _local(destination):
        target = destination.resolve()
        if not target.parent.is_dir():
            raise UserError(f"There is no folder {target.parent}.")
        if target.exists() and not target.is_file():
            raise UserError(f"{destination} is not a file, so it cannot be replaced by one.")
    return target


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[FileIO]:
    """Give a new file that takes the place of `target` if all goes well, and else vanishes."""
    beside = target.with_name(f".threadmill-{secrets.token_hex(8)}.part")
    try:
        with _local(target):
            file = beside.open("xb", buffering=0)
        with file:
            yield file
            with _local(target):
                os.fsync(file.fileno())
        with _local(target):
            beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    with _local(target):
        _sync_folder(target.parent)


def _write(file: FileIO, data: bytes) -> None:
    """Write all of `data`; unbuffered, lest closing the file be what finds the disk full."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
