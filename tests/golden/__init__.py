"""Bytes that may not change unless docs/wire.md does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Exchange(NamedTuple):
    """A request and how its answer begins, in hex; dots stand for any digit."""

    name: str
    request: str
    answer: str
    extent: str  # "whole"; "begins" where more may follow; "dropped" where none comes

    def is_answered_by(self, data: bytes) -> bool:
        """Say whether `data` is this answer."""
        wanted = self.answer.replace(" ", "")
        got = data.hex() if self.extent == "whole" else data.hex()[: len(wanted)]
        return len(got) == len(wanted) and all(
            w in (".", g) for w, g in zip(wanted, got, strict=True)
        )


def read(name: str) -> list[Exchange]:
    """Return the exchanges in a file beside this one."""
    return [
        Exchange(*(cell.strip() for cell in line.split("|")))
        for line in (Path(__file__).parent / name).read_text().splitlines()
        if not line.startswith("#")
    ]


EXCHANGES = read("frames.txt")
DATAGRAMS = read("datagrams.txt")
