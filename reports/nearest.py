"""What a sentence proposes for a name that nobody knows: a known one, if one is near."""

from __future__ import annotations

__all__ = ["proposal"]

from collections.abc import Iterable
from difflib import get_close_matches

NEAR = 0.6
"""The least likeness of two names (difflib's ratio): a letter or two of a word are wrong. Below it,
a proposal would be a guess at what somebody meant."""


def proposal(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return "did you mean ...?" with the nearest known name; `otherwise` if none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=NEAR)
    return f"did you mean {near[0]!r}?" if near else otherwise
