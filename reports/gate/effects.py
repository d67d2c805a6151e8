"""How much worse one side is, from the logarithms of ratios that pairs give. Pure.

Estimate
    Hodges-Lehmann (Hodges and Lehmann 1963, Annals of Mathematical Statistics 34:598): one wild
    pair hardly moves it.
p
    By flipping signs: two equal sides could have had any pair the other way round as well. Exact
    up to EXACT_PAIRS, of more pairs as many flips are drawn.
Interval
    Student's t over the pairs, 95%.

Thresholds and guards are ratios: 5% worse is 1.05 times the CPU, or throughput divided by 1.05.
"""

from __future__ import annotations

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "LEAST_PAIRS",
    "POWER",
    "Effect",
    "Floats",
    "Limit",
    "direction",
    "effect_of",
    "hodges_lehmann",
    "t_quantile",
]

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

ALPHA = 0.01
CONFIDENCE = 0.95
POWER = 0.8
EXACT_PAIRS = 12
"""Up to 2**12 flips are counted out, which is a block; of more pairs so many are drawn:"""
DRAWN_FLIPS = 10_000
LEAST_PAIRS = 8
"""Of a block: with 7 pairs no p can be below 2 / 2**7 = 0.016."""
SEED = 1_984

Floats = npt.NDArray[np.float64]


class Limit(NamedTuple):
    """What a metric may lose, as shares: 0.05 is 5%."""

    threshold: float
    guard: float  # infinite: being unsure of this one holds nothing up


class Effect(NamedTuple):
    """How much worse the head is, as logarithms of ratios: above 0 is worse."""

    estimate: float
    low: float
    high: float
    p: float
    noise: float  # standard deviation between pairs
    pairs: int

    def smallest(self, threshold: float) -> float:
        """Return the least worsening that would be suspected four times of five, as a share.

        It has to be told from nothing at ALPHA, and its estimate to be beyond the threshold.
        """
        error = self.noise / math.sqrt(self.pairs)
        freedom = self.pairs - 1
        power = t_quantile(POWER, freedom)
        told = t_quantile(1 - ALPHA / 2, freedom) + power
        return math.expm1(max(told * error, math.log1p(threshold) + power * error))


def effect_of(worse_by: Sequence[float]) -> Effect:
    """Return the effect that pairs show; ValueError below two of them."""
    d = np.asarray(worse_by, float)
    if len(d) < 2:
        raise ValueError("an effect needs two pairs")
    noise = float(d.std(ddof=1))
    reach = t_quantile((1 + CONFIDENCE) / 2, len(d) - 1) * noise / math.sqrt(len(d))
    centre = float(d.mean())
    return Effect(hodges_lehmann(d), centre - reach, centre + reach, sign_flip_p(d), noise, len(d))


def t_quantile(share: float, freedom: float) -> float:
    """Return the value below which `share` of Student's t is."""
    # Not scipy.stats, which takes half a second to import and ten times as long to say.
    return float(stdtrit(freedom, share))


def hodges_lehmann(d: Floats) -> float:
    """Return the median of the means of all pairs of observations, each with itself included."""
    above = np.triu_indices(len(d))
    return float(np.median((d[above[0]] + d[above[1]]) / 2))


def sign_flip_p(d: Floats) -> float:
    """Return the two-sided p of the mean under all flips of signs, or as many as are drawn.

    As `scipy.stats.permutation_test` gives it, whose 15 ms a call are too many to resample
    thousands of verdicts.
    """
    flips = _flips(len(d))
    sums = flips @ d
    # What is as extreme but for rounding is as extreme.
    slack = 1e-9 * float(np.abs(d).sum())
    above, below = ((sign * sums >= sign * d.sum() - slack).sum() for sign in (1, -1))
    drawn = len(d) > EXACT_PAIRS  # then the observed flip is one more
    return min(1.0, 2 * float(min(above, below) + drawn) / (len(flips) + drawn))


@cache
def _flips(count: int) -> Floats:
    """Return the signs of all flips of `count` observations, or of those drawn, one a row."""
    if count > EXACT_PAIRS:
        return np.random.default_rng(SEED).choice([-1.0, 1.0], (DRAWN_FLIPS, count))
    bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return np.where(bits, -1.0, 1.0)


def direction(effect: Effect, limit: Limit) -> int:
    """Return 1 when a worsening is suspected, -1 when an improvement is, else 0."""
    if effect.p >= ALPHA or abs(effect.estimate) <= math.log1p(limit.threshold):
        return 0
    return 1 if effect.estimate > 0 else -1
