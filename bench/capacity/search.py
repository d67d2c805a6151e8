"""The search for the highest rate at which a promise is kept. Pure: it is told what trials gave.

The rate grows geometrically until a promise breaks (or shrinks until it holds), and the bracket is
then halved on a logarithmic scale until its ends are within `resolution` of each other. A rate is
decided by two trials that agree, of three at most, so that one disturbed trial decides nothing.

The interval is honest about disagreement: its low end is the highest rate up to which no single
trial broke the promise, its high end the lowest one from which on no single trial kept it.
"""

from __future__ import annotations

__all__ = ["Found", "Search"]

import math
from collections import Counter
from typing import NamedTuple

GROWTH = 1.6
AGREEING = 2  # trials that decide a rate
MOST_RATES = 20


class Found(NamedTuple):
    """What a search has found."""

    rate: float  # the highest one kept; 0: none was
    low: float
    high: float  # inf: no rate was too high
    trials: int


class Search:
    """One model's search, asked for the next rate and told the outcome, in turn."""

    def __init__(self, start: float, floor: float, resolution: float = 0.05) -> None:
        self._rate = start
        self._floor = floor  # below it nothing could be judged
        self._resolution = resolution
        self._outcomes: list[tuple[float, bool]] = []
        self._kept = 0.0  # the highest rate decided as kept
        self._broken = math.inf  # the lowest one decided as broken
        self._decided = 0

    @property
    def rate(self) -> float:
        """The rate to try next; 0: the search is over."""
        return self._rate

    def tried(self, kept: bool) -> None:
        """Take the outcome of one trial at `rate`."""
        self._outcomes.append((self._rate, kept))
        votes = Counter(outcome for rate, outcome in self._outcomes if rate == self._rate)
        if votes[kept] < AGREEING:
            return
        if kept:
            self._kept = self._rate
        else:
            self._broken = self._rate
        self._decided += 1
        self._rate = 0.0 if self._decided == MOST_RATES else self._next()

    def _next(self) -> float:
        if math.isinf(self._broken):
            return self._kept * GROWTH
        if not self._kept:
            lower = self._broken / GROWTH**2
            return lower if lower >= self._floor else 0.0
        if self._broken / self._kept <= 1 + self._resolution:
            return 0.0
        return math.sqrt(self._kept * self._broken)

    def found(self) -> Found:
        """Return what the trials so far say."""
        broke = [rate for rate, kept in self._outcomes if not kept]
        kept = [rate for rate, kept in self._outcomes if kept]
        lowest_broken, highest_kept = min(broke, default=math.inf), max(kept, default=0.0)
        return Found(
            rate=self._kept,
            low=max((rate for rate in kept if rate < lowest_broken), default=0.0),
            high=min((rate for rate in broke if rate > highest_kept), default=math.inf),
            trials=len(self._outcomes),
        )
