"""What the tests of file transfer share: the frames of an upload, and what a download came to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import NamedTuple

from servers.protocol import DATA, DATA_BYTES, END, ERROR, META, PUT, Frame, frame, json_body

SIZES = [0, 1, DATA_BYTES - 1, DATA_BYTES, DATA_BYTES + 1, 5 * 2**20]


def content(size: int) -> bytes:
    """Return bytes in which no piece is like another."""
    return Random(size).randbytes(size)  # noqa: S311 - no secret


def meta(name: str, size: object, tag: int = 1) -> bytes:
    return frame(META, tag, json_body({"name": name, "size": size}))


def end(digest: str, tag: int = 1) -> bytes:
    return frame(END, tag, json_body({"sha256": digest}))


def pieces(data: bytes, tag: int = 1) -> Iterator[bytes]:
    for start in range(0, len(data), DATA_BYTES):
        yield frame(DATA, tag, data[start : start + DATA_BYTES])


def upload(name: str, data: bytes, tag: int = 1) -> bytes:
    """Return the frames of a PUT."""
    return (
        frame(PUT, tag, name.encode())
        + meta(name, len(data), tag)
        + b"".join(pieces(data, tag))
        + end(sha256(data).hexdigest(), tag)
    )


def accepted(name: str, data: bytes, tag: int = 1) -> Frame:
    """Return the answer to a PUT."""
    values = {"name": name, "size": len(data), "sha256": sha256(data).hexdigest()}
    return PUT + 128, tag, json_body(values)


def error_of(answer: Frame) -> int:
    """Return the code of an ERROR."""
    kind, _, body = answer
    assert kind == ERROR, answer
    assert body[2:].decode().endswith(".")
    return int.from_bytes(body[:2], "big")


class Download(NamedTuple):
    """What came of a GET."""

    size: int  # as META says; -1 when none came
    data: bytes
    ending: int | str  # "END", the code of an ERROR, or "cut off"


def download(answer: Callable[[], Frame], tag: int = 1) -> Download:
    """Read the answer to a GET; whatever calls itself whole must be."""
    size, data = -1, []
    try:
        while True:
            kind, its_tag, body = answer()
            assert its_tag == tag
            if kind == META:
                assert size == -1
                size = json.loads(body)["size"]
            elif kind == DATA:
                assert size >= 0
                assert 0 < len(body) <= DATA_BYTES
                data.append(body)
            elif kind == END:
                whole = b"".join(data)
                assert len(whole) == size
                assert json.loads(body) == {"sha256": sha256(whole).hexdigest()}
                return Download(size, whole, "END")
            else:
                return Download(size, b"".join(data), error_of((kind, its_tag, body)))
    except (EOFError, ConnectionError):
        return Download(size, b"".join(data), "cut off")
