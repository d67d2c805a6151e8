"""What a server says, checked before anything is done with it or shown of it."""

from __future__ import annotations

__all__ = ["Entry", "entries_of", "sentence_of", "size_of", "text_of", "value_of"]

from typing import Any, NamedTuple

from clients.transfer.errors import PeerError
from reports.untrusted import UntrustedError, for_terminal, read_json
from servers.protocol import DEFAULT_LIMIT

MOST_NAME_BYTES = 255
SENTENCE_CHARACTERS = 200


class Entry(NamedTuple):
    """A file that a server has."""

    name: str
    size: int


def sentence_of(body: bytes) -> str:
    """Return the words of an ERROR; they may be anybody's, so nothing a terminal would obey."""
    # Four bytes make a character at most: no more need be looked at of some megabytes.
    words = body[2 : 2 + 4 * SENTENCE_CHARACTERS + 4].decode("utf-8", "replace")
    return for_terminal(words, SENTENCE_CHARACTERS) or "it does not say why"


def value_of(body: bytes) -> Any:
    """Return what a body means as JSON."""
    try:
        return read_json(body, most_bytes=DEFAULT_LIMIT)
    except UntrustedError as error:
        raise PeerError(f"The server sent an answer that cannot be read: {error}.") from None


def text_of(value: Any, key: str) -> str:
    """Return a string in a JSON object."""
    text = value.get(key) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise PeerError(f"The server sent no {key}.")
    return text


def size_of(value: Any) -> int:
    """Return the size of a file in a JSON object."""
    size = value.get("size") if isinstance(value, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise PeerError("The server sent no size.")
    return size


def entries_of(value: Any) -> list[Entry]:
    """Return the files in the answer to a LIST."""
    if not isinstance(value, list):
        raise PeerError("The server's list of files is no list.")
    entries = [Entry(text_of(each, "name"), size_of(each)) for each in value]
    if any(len(entry.name) > MOST_NAME_BYTES for entry in entries):
        raise PeerError("The server's list has a name that is longer than a file's can be.")
    return entries
