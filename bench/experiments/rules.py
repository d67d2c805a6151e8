"""Verdict rules: pure functions of figures that say whether a claim holds, and the sentence why.

A rule that compares looks at the whole interval. When all of it is on one side of the bound the
claim holds or is refuted; when the bound lies within, it could not be told.
"""

from __future__ import annotations

__all__ = ["Verdict", "all_of", "at_least", "at_most", "between", "exactly", "verdict_of"]

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.experiments.figures import Bounds, Found, NotMeasured
from reports.experiments.finding import Row
from reports.units import number


class Verdict(NamedTuple):
    """What has come of a claim."""

    verdict: str  # holds, refuted or untold
    because: str  # a sentence with the figure


def at_least(found: Bounds | Row, bound: float, what: str) -> Verdict:
    """Judge "at least `bound`"; `what` is the sentence, with {} for the figure."""
    verdict = "holds" if found.low >= bound else "refuted" if found.high < bound else "untold"
    return _said(verdict, found, what, f"at least {bound:g}")


def at_most(found: Bounds | Row, bound: float, what: str) -> Verdict:
    """Judge "at most `bound`"."""
    verdict = "holds" if found.high <= bound else "refuted" if found.low > bound else "untold"
    return _said(verdict, found, what, f"at most {bound:g}")


def between(found: Bounds | Row, low: float, high: float, what: str) -> Verdict:
    """Judge "from `low` to `high`": refuted when the whole interval is outside, on one side."""
    outside = found.high < low or found.low > high
    within = low <= found.low and found.high <= high
    verdict = "holds" if within else "refuted" if outside else "untold"
    return _said(verdict, found, what, f"{low:g} to {high:g}")


def exactly(found: Row, value: float, what: str) -> Verdict:
    """Judge a count: any round that differs refutes."""
    verdict = "holds" if found.low == value == found.high else "refuted"
    return _said(verdict, found, what, f"{value:g}")


def _said(verdict: str, found: Bounds | Row, what: str, needs: str) -> Verdict:
    value, low, high = found.value, found.low, found.high
    words = number(value) if low == high else f"{number(value)} ({number(low)} to {number(high)})"
    return Verdict(verdict, f"{what.format(words)}; the claim needs {needs}")


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Judge a claim of several parts: refuted when one is, untold when one is and none refuted."""
    found = {each.verdict for each in verdicts}
    worst = next(each for each in ("refuted", "untold", "holds") if each in found)
    # Those that decide come first.
    ordered = sorted(verdicts, key=lambda each: each.verdict != worst)
    sentences = (each.because for each in ordered)
    return Verdict(worst, ". ".join(each[:1].upper() + each[1:] for each in sentences))


def verdict_of(judge: Callable[[Found], Verdict], rows: Sequence[Row]) -> Verdict:
    """Return what a rule says of some rows; untold where it asks for one that is missing."""
    try:
        return judge(Found(rows))
    except NotMeasured as missing:
        return Verdict("untold", str(missing))
