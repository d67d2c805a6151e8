"""How sure a figure is: medians and percentiles with intervals, ratios of models, ranks. Pure.

Trials are the unit: requests within a trial are not independent, so nothing here resamples them.
With n trials the range of the trials holds the median of all possible trials unless all n fell on
the same side of it: it covers 1 - 2 * 0.5**n (David and Nagaraja, Order Statistics, 2003, 7.1).
Five trials give 93.75%. From eight trials on that range is wider than it need be, and a bootstrap
over trials takes its place: BCa at 95% (Efron 1987, JASA 82), by scipy.

Models are compared by the ratios within blocks: a machine that grows slower over a run slows both
sides of such a ratio. Ratios are taken as logarithms, so that a/b and b/a say the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.histogram import rank

BOOTSTRAP_FROM = 8
CONFIDENCE = 0.95
RESAMPLES = 1_999
SEED = 1_984
LEAST_COVERAGE = 0.9
"""What an interval must cover for a difference to be claimed from it: five trials."""

Statistic = Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]]
"""Indices of trials, shape (..., n), to a figure for each row of them, shape (...)."""


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
    if not len(values):
        raise ValueError("no trial, no median")
    ordered = np.sort(np.asarray(values, float))
    return interval(
        ordered.tolist(), float(np.median(ordered)), lambda at: np.median(ordered[at], axis=-1)
    )


def interval(by_trial: Sequence[float], value: float, statistic: Statistic) -> Interval:
    """Return `value` with its interval, from what each trial says and the same over resamples.

    Where the jackknife over trials has no variance, BCa is not defined; the percentiles of the
    same resamples are then the bounds.
    """
    count = len(by_trial)
    low, high = float(min(by_trial)), float(max(by_trial))
    if count < BOOTSTRAP_FROM or low == high:
        return Interval(value, low, high, range_coverage(count), count)
    from scipy.stats import DegenerateDataWarning, bootstrap  # half a second, for few

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", DegenerateDataWarning)
            found = bootstrap(
                (np.arange(count),),
                lambda at, axis: statistic(at.astype(np.intp)),  # noqa: ARG005  # always the last
                vectorized=True,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return Interval(value, float(found.low), float(found.high), CONFIDENCE, count)


def percentile_interval(
    percentile: float, counts: Sequence[npt.NDArray[np.int64]], values: npt.NDArray[np.float64]
) -> Interval:
    """Return a percentile of merged histograms with its interval over the trials.

    `counts` is one array of slots for each trial, none empty, and `values` what a slot counts as.
    """
    table = np.stack(counts)
    by_trial = _slots_at(percentile, table)
    # Merged trials have their percentile between the least and the greatest of them, so a resample
    # only has to be counted there.
    low, high = int(by_trial.min()), int(by_trial.max())
    totals, below = table.sum(axis=1), table[:, :low].sum(axis=1)
    between = np.cumsum(table[:, low : high + 1], axis=1)

    def statistic(at: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        weights = (at[..., None] == np.arange(len(table))).sum(axis=-2)
        wanted = np.maximum(1, (percentile * (weights @ totals) / 100 + 0.5).astype(np.int64))
        reached = (weights @ below)[..., None] + weights @ between >= wanted[..., None]
        found: npt.NDArray[np.float64] = values[low + np.argmax(reached, axis=-1)]
        return found

    merged = float(statistic(np.arange(len(table))))
    return interval(values[by_trial].tolist(), merged, statistic)


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
    logs = sorted(
        math.log(one[block]) - math.log(other[block])
        for block in one.keys() & other.keys()
        if one[block] > 0 and other[block] > 0
    )
    if not logs:
        return None
    # One of the two directions is computed, whichever way it was asked for.
    mirrored = [-value for value in reversed(logs)]
    turned = mirrored > logs
    found = median_interval(mirrored if turned else logs)
    bounds = (-found.value, -found.high, -found.low) if turned else found[:3]
    value, low, high = (math.exp(bound) for bound in bounds)
    return found._replace(value=value, low=low, high=high)


def above(one: Mapping[int, float], other: Mapping[int, float]) -> int:
    """Return 1 when the ratio surely is above 1, -1 when surely below, 0 when it may be either."""
    found = ratio_interval(one, other)
    if found is None or not found.tells:
        return 0
    return (found.low > 1) - (found.high < 1)


def ranks_of(
    figures: Mapping[str, Mapping[int, float]], *, more_is_better: bool
) -> dict[str, Ranks]:
    """Return the ranks of models from their figures by block, best median first.

    "Not told apart" is not transitive: a may share a rank with b and b with c, where a surely is
    better than c. So no groups are cut. A model's rank reaches from 1 + the number of models that
    are surely better to n - the number of those surely worse; models whose ranks begin at 1 are
    those that nobody surely beats.
    """
    sign = 1 if more_is_better else -1
    better, worse = dict.fromkeys(figures, 0), dict.fromkeys(figures, 0)
    for one, other in combinations(figures, 2):
        order = sign * above(figures[one], figures[other])
        if order:
            winner, loser = (one, other) if order > 0 else (other, one)
            better[loser] += 1
            worse[winner] += 1

    def place(model: str) -> tuple[float, str]:
        return -sign * float(np.median(list(figures[model].values()))), model

    return {
        model: Ranks(1 + better[model], len(figures) - worse[model])
        for model in sorted(figures, key=place)
    }
