"""How sure a figure is: medians and percentiles with intervals, ratios of models, ranks. Pure.

Trials are the unit: requests within a trial are not independent, so nothing here resamples them.
With n trials the range of the trials holds the median of all possible trials unless all n fell on
the same side of it: it covers 1 - 2 * 0.5**n (David and Nagaraja, Order Statistics, 2003, 7.1).
Five trials give 93.75%. From eight trials on that range is wider than it need be, and a bootstrap
over trials takes its place: BCa at 95% (`reports.bootstrap`).

Models are compared by the ratios within blocks: a machine that grows slower over a run slows both
sides of such a ratio. Ratios are taken as logarithms, so that a/b and b/a say the same.
"""

from __future__ import annotations

__all__ = [
    "LEAST_COVERAGE",
    "Interval",
    "Ranks",
    "coverage",
    "median_interval",
    "median_intervals",
    "percentile_interval",
    "range_coverage",
    "ranks_of",
    "ratio_interval",
    "ratio_intervals",
    "surely_differ",
]

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt

from reports.bootstrap import CONFIDENCE, RESAMPLES, Figures, bounds, medians, times_drawn
from reports.histogram import rank

BOOTSTRAP_FROM = 8
LEAST_COVERAGE = 0.9
"""What an interval must cover for a difference to be claimed from it: five trials."""


class Interval(NamedTuple):
    """A figure, and between which bounds it lies with which probability."""

    value: float
    low: float
    high: float
    coverage: float  # 0 for a single trial, which says nothing about others
    trials: int

    @property
    def tells(self) -> bool:
        """Whether there are trials enough to claim anything from it."""
        return self.coverage >= LEAST_COVERAGE


class Ranks(NamedTuple):
    """The places that a model may have among others, 1 being the best."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


def range_coverage(trials: int) -> float:
    """Return the probability that the range of so many trials holds the median of them all."""
    return 1 - 2 * 0.5**trials


def coverage(trials: int) -> float:
    """Return the probability that the interval of so many trials is made for."""
    return range_coverage(trials) if trials < BOOTSTRAP_FROM else CONFIDENCE


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median of the trials with its interval; ValueError without any trial.

    The order of the values makes no difference.
    """
    return median_intervals([values])[0]


def median_intervals(rows: Sequence[Sequence[float]]) -> list[Interval]:
    """Return what `median_interval` gives of each row; of many rows at once it is much faster."""
    if not all(map(len, rows)):
        raise ValueError("no trial, no median")
    ordered = [np.sort(np.asarray(row, float)) for row in rows]
    found = [
        Interval(
            # As np.median to the last bit, without what that costs for each few figures.
            float(row[(len(row) - 1) // 2] + row[len(row) // 2]) / 2,
            float(row[0]),
            float(row[-1]),
            range_coverage(len(row)),
            len(row),
        )
        for row in ordered
    ]
    wanted: dict[int, list[int]] = defaultdict(list)
    for place, plain in enumerate(found):
        if _is_resampled(plain):
            wanted[plain.trials].append(place)
    for places in wanted.values():
        lows, highs = bounds(medians(np.stack([ordered[place] for place in places])))
        for place, low, high in zip(places, lows.tolist(), highs.tolist(), strict=True):
            found[place] = _narrowed(found[place], low, high)
    return found


def _narrowed(plain: Interval, low: float, high: float) -> Interval:
    """Return an interval that is the range of the trials with the bounds of a bootstrap.

    A quantile between two equal figures may round to the next float beside both, and so beside all
    trials, or beside the figure itself.
    """
    return plain._replace(
        low=min(max(low, plain.low), plain.value),
        high=max(min(high, plain.high), plain.value),
        coverage=CONFIDENCE,
    )


def _is_resampled(plain: Interval) -> bool:
    """Whether a bootstrap takes the place of an interval that is the range of the trials."""
    return plain.trials >= BOOTSTRAP_FROM and plain.low < plain.high


def percentile_interval(
    percentile: float,
    counts: Sequence[npt.NDArray[np.int64]] | npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> Interval:
    """Return a percentile of merged histograms with its interval over the trials.

    `counts` is one array of slots for each trial, none empty, and `values` what a slot counts as.
    Slots that no trial uses may be left out of both; it is then much faster.
    """
    table, trials = np.asarray(counts), len(counts)
    by_trial = _slots_at(percentile, table)
    # Merged trials have their percentile between the least and the greatest of them, so a resample
    # only has to be counted there.
    low, high = int(by_trial.min()), int(by_trial.max())
    # Counts stay far below 2**53, up to which floats are exact, and their products are fast.
    totals, below = table.sum(axis=1) + 0.0, table[:, :low].sum(axis=1) + 0.0
    up_to = (below[:, None] + np.cumsum(table[:, low : high + 1], axis=1)).T

    def of(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the percentile of trials merged as often as each row says."""
        wanted = np.maximum(1, np.floor(percentile * (weights @ totals) / 100 + 0.5))
        # By bisection, all rows at a time: the first slot up to which there are as many as wanted.
        first, last = np.zeros(len(weights), np.intp), np.full(len(weights), high - low)
        for _ in range(int(high - low).bit_length()):
            middle = (first + last) // 2
            reached = np.einsum("rt,rt->r", weights, up_to[middle]) >= wanted
            first, last = np.where(reached, first, middle + 1), np.where(reached, middle, last)
        found: npt.NDArray[np.float64] = values[low + last]
        return found

    merged = of(np.ones((1, trials)))
    plain = Interval(
        float(merged[0]), float(values[low]), float(values[high]), range_coverage(trials), trials
    )
    if not _is_resampled(plain):
        return plain
    figures = Figures(
        merged,
        of(times_drawn(trials))[None],
        np.ones(RESAMPLES, np.int64),
        of(1 - np.eye(trials))[None],
    )
    lows, highs = bounds(figures)
    return _narrowed(plain, float(lows[0]), float(highs[0]))


def _slots_at(percentile: float, table: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return for each row of counts the slot at `percentile`, as `Histogram.values_at` does."""
    return np.array(
        [np.searchsorted(np.cumsum(row), rank(percentile, int(row.sum()))) for row in table]
    )


def ratio_interval(one: Mapping[int, float], other: Mapping[int, float]) -> Interval | None:
    """Return one/other from the ratios within the blocks that both have, each by block.

    None when they share no block in which both are above zero. Exchanging the two gives exactly
    the reciprocal.
    """
    return ratio_intervals([(one, other)])[0]


def ratio_intervals(
    pairs: Sequence[tuple[Mapping[int, float], Mapping[int, float]]],
) -> list[Interval | None]:
    """Return what `ratio_interval` gives of each pair; of many pairs at once it is much faster."""
    logs, turned = [], []
    for one, other in pairs:
        forth = sorted(
            math.log(one[block]) - math.log(other[block])
            for block in one.keys() & other.keys()
            if one[block] > 0 and other[block] > 0
        )
        back = [-value for value in reversed(forth)]
        # One of the two directions is computed, whichever way it was asked for.
        turned.append(back > forth)
        logs.append(max(forth, back))
    intervals = iter(median_intervals([row for row in logs if row]))
    return [
        _exponential(next(intervals), mirrored=mirrored) if row else None
        for row, mirrored in zip(logs, turned, strict=True)
    ]


def _exponential(found: Interval, *, mirrored: bool) -> Interval:
    bounds = (-found.value, -found.high, -found.low) if mirrored else found[:3]
    value, low, high = (math.exp(bound) for bound in bounds)
    return found._replace(value=value, low=low, high=high)


def ranks_of(
    figures: Mapping[str, Mapping[int, float]],
    *,
    more_is_better: bool,
    tied: Collection[str] = (),
) -> dict[str, Ranks]:
    """Return the ranks of models from their figures by block, best median first.

    Those that are `tied` are not told apart, whatever their figures are.

    "Not told apart" is not transitive: a may share a rank with b and b with c, where a surely is
    better than c. So no groups are cut. A model's rank reaches from 1 + the number of models that
    are surely better to n - the number of those surely worse; models whose ranks begin at 1 are
    those that nobody surely beats.
    """
    better, worse = dict.fromkeys(figures, 0), dict.fromkeys(figures, 0)
    pairs = list(combinations(figures, 2))
    ratios = ratio_intervals([(figures[one], figures[other]) for one, other in pairs])
    for (one, other), ratio in zip(pairs, ratios, strict=True):
        if not surely_differ(ratio) or (one in tied and other in tied):
            continue
        winner, loser = (one, other) if (ratio.low > 1) == more_is_better else (other, one)
        better[loser] += 1
        worse[winner] += 1

    sign = -1 if more_is_better else 1

    def place(model: str) -> tuple[float, str]:
        return sign * float(np.median(list(figures[model].values()))), model

    return {
        model: Ranks(1 + better[model], len(figures) - worse[model])
        for model in sorted(figures, key=place)
    }


def surely_differ(ratio: Interval | None) -> TypeGuard[Interval]:
    """Whether a ratio is of trials enough, and its interval does not hold 1."""
    return ratio is not None and ratio.tells and not ratio.low <= 1 <= ratio.high
