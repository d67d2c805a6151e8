"""Verdict rules: pure functions of figures that say whether a claim holds, and the sentence why.

A rule that compares looks at the whole interval. When all of it is on one side of the bound the
claim holds or is refuted; when the bound lies within, it could not be told.
"""

from __future__ import annotations

__all__ = ["Verdict", "all_of", "at_least", "at_most", "between", "exactly", "verdict_of"]

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.experiments.figures import Bounds, Found, NotMeasured
from reports.experiments.finding import UNITS, Row
from reports.units import number

MOST_SENTENCES = 3
ORDER = ("refuted", "untold", "holds")
"""Of parts: what decides first."""


class Verdict(NamedTuple):
    """What has come of a claim."""

    verdict: str  # holds, refuted or untold
    because: str  # a sentence with the figure


def at_least(found: Bounds | Row, bound: float, what: str) -> Verdict:
    """Judge "at least `bound`"; `what` is the sentence, with {} for the figure."""
    verdict = "holds" if found.low >= bound else "refuted" if found.high < bound else "untold"
    return _said(verdict, found, what, "at least {}", bound)


def at_most(found: Bounds | Row, bound: float, what: str) -> Verdict:
    """Judge "at most `bound`"."""
    verdict = "holds" if found.high <= bound else "refuted" if found.low > bound else "untold"
    return _said(verdict, found, what, "at most {}", bound)


def between(found: Bounds | Row, low: float, high: float, what: str) -> Verdict:
    """Judge "from `low` to `high`": refuted when the whole interval is outside, on one side."""
    outside = found.high < low or found.low > high
    within = low <= found.low and found.high <= high
    verdict = "holds" if within else "refuted" if outside else "untold"
    return _said(verdict, found, what, "{} to {}", low, high)


def exactly(found: Row, value: float, what: str) -> Verdict:
    """Judge a count: any round that differs refutes."""
    verdict = "holds" if found.low == value == found.high else "refuted"
    return _said(verdict, found, what, "{}", value)


def _said(verdict: str, found: Bounds | Row, what: str, needs: str, *bounds: float) -> Verdict:
    """Return a verdict with its sentence; the figure and the bounds are in the figure's unit."""
    write = UNITS[found.unit] if isinstance(found, Row) else number
    value, low, high = map(write, (found.value, found.low, found.high))
    words = value if low == high else f"{value} ({low} to {high})"
    needed = needs.format(*(write(bound) for bound in bounds))
    return Verdict(verdict, f"{what.format(words)}; the claim needs {needed}")


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Judge a claim of several parts: refuted when one is, untold when one is and none refuted."""
    found = {each.verdict for each in verdicts}
    worst = min(found, key=ORDER.index)
    # Those that decide come first; of the rest a reader wants to know no more than a few.
    ordered = sorted(verdicts, key=lambda each: ORDER.index(each.verdict))
    open_ones = sum(each.verdict != "holds" for each in verdicts)
    sentences = [_capitalized(each.because) for each in ordered[: max(MOST_SENTENCES, open_ones)]]
    if more := len(ordered) - len(sentences):
        sentences.append(f"{more} more {'part holds' if more == 1 else 'parts hold'}")
    return Verdict(worst, ". ".join(sentences))


def _capitalized(sentence: str) -> str:
    """Return a sentence with a capital, unless it begins with the name of something in Python."""
    return sentence if "." in sentence.split()[0] else sentence[:1].upper() + sentence[1:]


def verdict_of(judge: Callable[[Found], Verdict], rows: Sequence[Row]) -> Verdict:
    """Return what a rule says of some rows; untold where it asks for one that is missing."""
    try:
        return judge(Found(rows))
    except NotMeasured as missing:
        return Verdict("untold", str(missing))
