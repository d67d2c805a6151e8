"""Other rules for calling a change a regression, to be held against the gate's. Pure.

Each is given the very slices that the gate judges, as costs (more is worse): two arrays of shape
(pairs, slices), base and head. Where a rule has a source, its arithmetic is taken from there.
scipy.stats takes half a second to import, so only the rules that need it do that.
"""

from __future__ import annotations

__all__ = ["RIVAL_RULES"]

import math
from collections.abc import Callable, Mapping

import numpy as np

from reports.gate.effects import Floats

RivalRule = Callable[[Floats, Floats], bool]

THRESHOLD = 1.05
FEW_RUNS = 5


def mean_is_worse(base: Floats, head: Floats) -> bool:
    """Compare the means of all slices; no statistics at all."""
    return bool(head.mean() / base.mean() > THRESHOLD)


def mean_of_few_is_worse(base: Floats, head: Floats) -> bool:
    """Compare the means of five runs of either side that were not measured side by side.

    The base's are the first five processes, the head's the last five of other pairs: this is how
    most projects compare a stored result with a fresh one.
    """
    return bool(head[-FEW_RUNS:].mean() / base[:FEW_RUNS].mean() > THRESHOLD)


def pyperf_is_worse(base: Floats, head: Floats) -> bool:
    """Student's t-test of two samples with one variance, two-sided at 95%.

    pyperf 2, `pyperf._utils.is_significant`, which `pyperf compare_to` applies to all values.
    """
    from scipy.stats import ttest_ind

    return bool(ttest_ind(head.ravel(), base.ravel()).pvalue < 0.05 and head.mean() > base.mean())


def mann_whitney_is_worse(base: Floats, head: Floats) -> bool:
    """Mann-Whitney's U, one-sided at 5%, as if slices were independent."""
    from scipy.stats import mannwhitneyu

    return bool(mannwhitneyu(head.ravel(), base.ravel(), alternative="greater").pvalue < 0.05)


def asv_is_worse(base: Floats, head: Floats) -> bool:
    """Ask for a median 10% up, and for Mann-Whitney's U two-sided at 0.002.

    asv 0.6, `asv compare --factor 1.1` with `asv_runner.statistics.is_different`.
    """
    from scipy.stats import mannwhitneyu

    different = mannwhitneyu(head.ravel(), base.ravel()).pvalue < 0.002
    return bool(different and np.median(head) / np.median(base) > 1.1)


def paired_z_is_worse(base: Floats, head: Floats) -> bool:
    """Return whether z of the slices' log ratios is over 2.6, as if slices were independent."""
    logs = np.log(head / base).ravel()
    spread = float(logs.std(ddof=1))
    return bool(spread and logs.mean() / spread * math.sqrt(logs.size) > 2.6)


RIVAL_RULES: Mapping[str, RivalRule] = {
    "mean worse than 5%": mean_is_worse,
    "the same, 5 runs against 5 others": mean_of_few_is_worse,
    "pyperf's t-test": pyperf_is_worse,
    "Mann-Whitney at .05": mann_whitney_is_worse,
    "asv: 10% and Mann-Whitney": asv_is_worse,
    "paired z over 2.6": paired_z_is_worse,
}
