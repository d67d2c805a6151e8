"""The file client: GET, PUT and LIST over one plain blocking socket (docs/wire.md).

A GET is written beside its destination under a name of its own, checked against the announced size
and digest, made safe on the disk, and only then renamed: under its final name there is the old
file, if there was one, or the whole new one. Nothing is resumed. Either way a file passes through
in pieces of at most DATA_BYTES, so memory does not grow with it.

How long a server is waited for is `idle_seconds` for a sign of life and `total_seconds` for all of
it (0: any time). What a failure raises is told by whose fault it was: `clients.transfer.errors`.
"""

from __future__ import annotations

__all__ = ["IDLE_SECONDS", "MOST_BYTES", "Progress", "Transferred", "get", "list_files", "put"]

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clients.transfer import local
from clients.transfer.answers import Entry, entries_of, size_of, text_of, value_of
from clients.transfer.conversation import TAG, Conversation, Patience
from clients.transfer.errors import PeerError, UserError
from servers.protocol import (
    ANSWER,
    DATA,
    DATA_BYTES,
    DEFAULT_LIMIT,
    END,
    GET,
    LIST,
    META,
    PUT,
    frame,
    json_body,
)

IDLE_SECONDS = 30.0
"""How long a server may say nothing, and take nothing."""
MOST_BYTES = 64 * 2**30
"""In a file that is fetched, unless told: the disk is this side's, the number the server's."""
NAME_BYTES = 255


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
    idle_seconds: float = IDLE_SECONDS,
    total_seconds: float = 0.0,
    most_bytes: int = MOST_BYTES,
    progress: Progress = _unseen,
) -> Transferred:
    """Fetch the file `name` to `destination`, which a failure leaves as it was; TransferError.

    A file of more than `most_bytes` is not fetched (0: any size).
    """
    request = frame(GET, TAG, _encoded(name))
    target = local.replaced(destination)
    patience = Patience(idle_seconds, total_seconds)
    with Conversation(host, port, patience, DATA_BYTES) as server:
        server.send(request)
        size = _announced_size(server.expect(META), name)
        if 0 < most_bytes < size:
            raise UserError(f"{name!r} has {size:,} bytes, and at most {most_bytes:,} are wanted.")
        with local.replacing(target) as file:
            digest = hashlib.sha256()
            moved = 0
            progress(moved, size)
            for piece in server.pieces(size):
                digest.update(piece)
                with local.failing(target):
                    local.write(file, piece)
                moved += len(piece)
                progress(moved, size)
            if text_of(value_of(server.expect(END)), "sha256") != digest.hexdigest():
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
    idle_seconds: float = IDLE_SECONDS,
    total_seconds: float = 0.0,
    progress: Progress = _unseen,
) -> Transferred:
    """Send the file at `path`, to be called `name` (its own name if empty); TransferError."""
    name = name or path.name
    encoded = _encoded(name)
    patience = Patience(idle_seconds, total_seconds)
    with local.opened(path) as file, Conversation(host, port, patience, DEFAULT_LIMIT) as server:
        before = os.fstat(file.fileno())
        size = before.st_size
        server.send(frame(PUT, TAG, encoded))
        server.send(frame(META, TAG, json_body({"name": name, "size": size})))
        digest = hashlib.sha256()
        progress(0, size)
        for start in range(0, size, DATA_BYTES):
            with local.failing(path):
                piece = file.read(min(DATA_BYTES, size - start))
            if start + len(piece) < min(start + DATA_BYTES, size):
                raise UserError(f"{path} became shorter while it was sent.")
            digest.update(piece)
            server.check_not_refused()
            server.send(frame(DATA, TAG, piece))
            progress(start + len(piece), size)
        if local.identity(os.fstat(file.fileno())) != local.identity(before):
            raise UserError(f"{path} changed while it was sent.")
        sent = Transferred(name, size, digest.hexdigest())
        server.send(frame(END, TAG, json_body({"sha256": sent.sha256})))
        if value_of(server.expect(PUT | ANSWER)) != sent._asdict():
            raise PeerError(f"The server says that it has stored something else than {name!r}.")
    return sent


def list_files(
    host: str, port: int, *, idle_seconds: float = IDLE_SECONDS, total_seconds: float = 0.0
) -> list[Entry]:
    """Return the files that the server has, sorted by name; TransferError."""
    patience = Patience(idle_seconds, total_seconds)
    with Conversation(host, port, patience, DEFAULT_LIMIT) as server:
        server.send(frame(LIST, TAG))
        return entries_of(value_of(server.expect(LIST | ANSWER)))


def _encoded(name: str) -> bytes:
    """Return a name as it travels; UserError when no server could take it."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"The name {name!r} is not UTF-8.") from error
    if not encoded or len(encoded) > NAME_BYTES or b"\0" in encoded:
        raise UserError(f"The name must have 1 to {NAME_BYTES} bytes, and no NUL.")
    return encoded


def _announced_size(body: bytes, name: str) -> int:
    value = value_of(body)
    if text_of(value, "name") != name:
        raise PeerError(f"The server sent another file than {name!r}.")
    return size_of(value)
