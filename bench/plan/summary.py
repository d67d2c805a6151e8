"""A scenario in one row: what all of its levels have, and what differs between them."""

from __future__ import annotations

__all__ = ["parameters"]

import re
from collections.abc import Sequence

from bench.plan.scenario import Scenario

NUMBER = re.compile(r"\d[\d,.]*")


def parameters(levels: Sequence[Scenario]) -> str:
    """Return the levels of one scenario in words: "1, 4 or 16 connections, 1 KiB".

    Words that differ by a number stand together, whose numbers are listed; words that only some
    levels have are optional. The placement has a column of its own.
    """
    told = [_words(each) for each in levels]
    kinds: dict[str, dict[str, None]] = {}
    for words in told:
        for word in words:
            kinds.setdefault(_kind(word), {})[word] = None
    return ", ".join(
        _together(list(words), always=all(kind in map(_kind, each) for each in told))
        for kind, words in kinds.items()
    )


def _words(scenario: Scenario) -> list[str]:
    words = scenario.level.split(", ")
    return [word for word in words if word != scenario.serving.placement]


def _kind(word: str) -> str:
    """Return what is counted: the words without their number, in the plural or not."""
    return NUMBER.sub("#", word, count=1).removesuffix("s")


def _together(words: Sequence[str], *, always: bool) -> str:
    """Return words that differ by their numbers as one."""
    numbers = [match[0] for word in words if (match := NUMBER.search(word))]
    said = words[-1]
    if len(words) > 1:
        listed = f"{', '.join(numbers[:-1])} or {numbers[-1]}"
        said = NUMBER.sub(listed, said, count=1)
    return said if always else f"some {said}"
