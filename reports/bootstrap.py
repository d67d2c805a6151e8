"""The bootstrap over trials: BCa intervals of many figures at once. Pure.

It is Efron's BCa (1987, JASA 82) as `scipy.stats.bootstrap` computes it, with the same resamples:
`tests/test_stats.py` holds the two against each other. A report wants tens of thousands of such
intervals, all over the same few numbers of trials. Which trials a resample draws depends on their
number and the seed alone, so it is drawn once; and a median asks of a resample only for its middle
one or two, of which there are few, so that they are counted instead of computed 1,999 times.
"""

from __future__ import annotations

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Figures",
    "bounds",
    "left_out",
    "medians",
    "resamples",
    "times_drawn",
]

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESAMPLES = 1_999
SEED = 1_984

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class Figures(NamedTuple):
    """What some figures are, over all trials, over resamples of them, and without each trial."""

    values: Floats  # shape (figures,)
    resampled: Floats  # shape (figures, different resamples)
    counts: npt.NDArray[np.int64]  # how often each of them was drawn; together RESAMPLES
    jackknife: Floats  # shape (figures, trials)


@lru_cache(maxsize=64)
def resamples(trials: int) -> Indices:
    """Return which trials each resample draws, ascending, shape (RESAMPLES, trials)."""
    drawn = np.random.default_rng(SEED).integers(0, trials, (RESAMPLES, trials))
    return np.sort(drawn, axis=-1).astype(np.intp)


@lru_cache(maxsize=64)
def left_out(trials: int) -> Indices:
    """Return the trials but one, for each of them, shape (trials, trials - 1)."""
    every = np.broadcast_to(np.arange(trials), (trials, trials))
    return every[~np.eye(trials, dtype=bool)].reshape(trials, trials - 1)


def medians(ordered: Floats) -> Figures:
    """Return the medians of rows of figures, each row ascending, shape (figures, trials)."""
    trials = ordered.shape[-1]
    middles, counts = _different_middles(trials)
    return Figures(
        _mean_at(ordered, _middles(np.arange(trials)[None]))[:, 0],
        _mean_at(ordered, middles),
        counts,
        _mean_at(ordered, _middles(left_out(trials))),
    )


@lru_cache(maxsize=64)
def _different_middles(trials: int) -> tuple[Indices, npt.NDArray[np.int64]]:
    """Return what resamples have in their middle, each once, and how often it was drawn."""
    return np.unique(_middles(resamples(trials)), axis=0, return_counts=True)


@lru_cache(maxsize=64)
def times_drawn(trials: int) -> Floats:
    """Return how often each resample has each trial, shape (RESAMPLES, trials)."""
    drawn = resamples(trials)
    return np.stack([(drawn == trial).sum(axis=-1) for trial in range(trials)], axis=-1) + 0.0


def _middles(rows: Indices) -> Indices:
    """Return the middle one of each ascending row, or the middle two."""
    count = rows.shape[-1]
    return rows[:, (count - 1) // 2 : count // 2 + 1]


def _mean_at(ordered: Floats, places: Indices) -> Floats:
    # In the order of memory in which sums over a row add up as scipy's do, to the last bit.
    return np.ascontiguousarray(np.take(ordered, places, axis=1).mean(axis=-1))


def bounds(figures: Figures) -> tuple[Floats, Floats]:
    """Return the lower and the upper bounds of the figures' intervals at CONFIDENCE.

    Where the jackknife over trials has no variance, BCa is not defined; the percentiles of the
    same resamples are then the bounds.
    """
    from scipy.special import ndtr, ndtri  # half a second, for who has eight trials

    tail = (1 - CONFIDENCE) / 2
    order = np.argsort(figures.resampled, axis=-1)
    ascending = np.take_along_axis(figures.resampled, order, axis=-1)
    reached = np.cumsum(figures.counts[order], axis=-1)
    value = figures.values[:, None]
    below = (figures.counts * (figures.resampled < value)).sum(axis=-1)
    up_to = (figures.counts * (figures.resampled <= value)).sum(axis=-1)
    trials = figures.jackknife.shape[-1]
    off = (trials - 1) * (figures.jackknife.mean(axis=-1, keepdims=True) - figures.jackknife)
    with np.errstate(all="ignore"):
        bias = ndtri((below + up_to) / (2 * RESAMPLES))
        skew = (off**3).sum(axis=-1) / float(trials) ** 3
        spread = (off**2).sum(axis=-1) / float(trials) ** 2
        acceleration = 1 / 6 * skew / spread ** (3 / 2)
        shifted = bias[:, None] + np.array([ndtri(tail), -ndtri(tail)])
        shares = ndtr(bias[:, None] + shifted / (1 - acceleration[:, None] * shifted))
    undefined = ~np.isfinite(shares).all(axis=-1)
    shares[undefined] = tail, 1 - tail
    found = _quantiles(ascending, reached, shares)
    return found[:, 0], found[:, 1]


def _quantiles(ascending: Floats, reached: npt.NDArray[np.int64], shares: Floats) -> Floats:
    """Return the quantiles of RESAMPLES figures (Hyndman and Fan 1996, definition 7).

    A row has each different figure once; `reached` says how many there are up to it.
    """
    place = shares * RESAMPLES + (1 - shares)
    part = place % 1
    lower, upper = (
        np.take_along_axis(ascending, (reached[:, None, :] <= at[..., None]).sum(axis=-1), axis=-1)
        for at in (np.clip(place // 1 + step, 0, RESAMPLES - 1) for step in (-1, 0))
    )
    found: Floats = (1 - part) * lower + part * upper
    return found
