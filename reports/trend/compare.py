"""Two sets of results held against each other: ratios with intervals. Pure.

The unit is a process: a trial of ours, a run of pyperf. Two results were not measured side by
side, so they are two independent samples: the ratio is that of the geometric means, its interval
Welch's t on the logarithms (Welch 1947, Biometrika 34:28), 95%. What the machine did between the
two is not in it. pytest-benchmark keeps the rounds of one process; its interval says nothing about
others.
"""

from __future__ import annotations

__all__ = [
    "CONFIDENCE",
    "LEAST_VALUES",
    "Answer",
    "Comparison",
    "Logs",
    "Results",
    "Series",
    "compare",
    "exit_code",
    "only_on_one_side",
    "same_run",
    "verdict_of",
    "warnings",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from reports.gate.effects import t_quantile
from reports.machines import differences

CONFIDENCE = 0.95
LEAST_VALUES = 3


class Logs(NamedTuple):
    """What there is of a sample, as logarithms."""

    mean: float
    variance: float
    values: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Logs:
        """Take the logarithms of values above 0; ValueError when one is not."""
        if not all(0 < value < math.inf for value in values):
            raise ValueError("a value is not above 0")
        logs = [math.log(value) for value in values]
        spread = float(np.var(logs, ddof=1)) if len(logs) > 1 else 0.0
        return cls(float(np.mean(logs)), spread, len(logs))

    @classmethod
    def of_summary(cls, mean: float, deviation: float, count: int) -> Logs:
        """Take a mean and a standard deviation: to first order, var(log x) = var(x) / mean².

        ValueError when the mean is not above 0.
        """
        if not 0 < mean < math.inf:
            raise ValueError("a mean is not above 0")
        return cls(math.log(mean), (deviation / mean) ** 2, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure of one side."""

    unit: str
    logs: Logs
    more_is_better: bool = False
    # What the server said it runs under, where it was one of several interpreters; empty: ours.
    runs_under: str = ""

    @property
    def value(self) -> float:
        """The geometric mean."""
        return math.exp(self.logs.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One side: what a file or a run holds."""

    label: str
    machine: Mapping[str, Any]  # as far as known; see bench.measure.machine
    series: Mapping[str, Series]  # by name
    troubles: Mapping[str, str] = field(default_factory=dict)  # what has no good figures: why
    within_process: bool = False  # the values are of one process
    run: str = ""  # which run of ours it is; empty: none


class Answer(StrEnum):
    """What can be said of a ratio."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "not told apart"
    TOO_FEW = "too few values"


class Comparison(NamedTuple):
    """A figure on both sides; ratios are B over A."""

    name: str
    a: Series
    b: Series
    ratio: float
    low: float
    high: float
    answer: Answer

    @property
    def worse_by(self) -> tuple[float, float]:
        """The ratio and its upper bound, turned so that above 1 is worse."""
        if self.a.more_is_better:
            return 1 / self.ratio, 1 / self.low if self.low else math.inf
        return self.ratio, self.high

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready values; bounds that are not known are null."""
        known = self.answer is not Answer.TOO_FEW
        return {
            "name": self.name,
            "unit": self.a.unit,
            "a": self.a.value,
            "b": self.b.value,
            "ratio": self.ratio,
            "low": self.low if known else None,
            "high": self.high if known else None,
            "answer": str(self.answer),
        }


def compare(a: Results, b: Results) -> list[Comparison]:
    """Return what both sides have in the same unit and under one interpreter, in A's order."""
    return [
        _compare(name, one, b.series[name])
        for name, one in a.series.items()
        if name in b.series
        and (one.unit, one.runs_under) == (b.series[name].unit, b.series[name].runs_under)
    ]


def _compare(name: str, a: Series, b: Series) -> Comparison:
    moved = b.logs.mean - a.logs.mean
    ratio = math.exp(moved)
    if min(a.logs.values, b.logs.values) < LEAST_VALUES:
        return Comparison(name, a, b, ratio, 0.0, math.inf, Answer.TOO_FEW)
    reach = _reach(a.logs, b.logs)
    answer = Answer.SAME
    if abs(moved) > reach:
        answer = Answer.BETTER if (moved > 0) == a.more_is_better else Answer.WORSE
    return Comparison(name, a, b, ratio, math.exp(moved - reach), math.exp(moved + reach), answer)


def _reach(a: Logs, b: Logs) -> float:
    """Return half of Welch's interval, with Satterthwaite's degrees of freedom."""
    shares = [each.variance / each.values for each in (a, b)]
    error = sum(shares)
    if not error:
        return 0.0
    # Of shares of the whole: the squares of very small variances would be 0.
    freedom = 1 / sum(
        (share / error) ** 2 / (each.values - 1) for share, each in zip(shares, (a, b), strict=True)
    )
    return t_quantile((1 + CONFIDENCE) / 2, freedom) * math.sqrt(error)


def only_on_one_side(a: Results, b: Results) -> list[str]:
    """Return in sentences what cannot be compared, because one side does not have it."""
    pairs = ((a, b), (b, a))
    return [
        f"only {one.label} has {name}"
        for one, other in pairs
        for name in one.series
        if name not in other.series and not _explained(name, other)
    ]


def _explained(name: str, side: Results) -> bool:
    """Return whether a trouble says why the figure is not there: its own or that of its cell."""
    ends = [place for place, each in enumerate(name) if each == "/"]
    return any(name[:end] in side.troubles for end in (*ends, len(name)))


def warnings(a: Results, b: Results) -> list[str]:
    """Return what must be known before the figures are believed."""
    said = []
    if same_run(a, b):
        said.append(f"A and B are both the run {a.run}: there is no difference to find")
    # What only one format records says nothing about the other's machine.
    both = a.machine.keys() & b.machine.keys()
    if found := differences(*({name: side.machine[name] for name in both} for side in (a, b))):
        said.append(f"another machine: {'; '.join(found)}")
    said += [
        f"{name} is in {one.unit} and in {b.series[name].unit}: not compared"
        for name, one in a.series.items()
        if name in b.series and one.unit != b.series[name].unit
    ]
    said += dict.fromkeys(
        f"{name.partition('/')[0]} ran under {one.runs_under or 'another interpreter'} and under"
        f" {b.series[name].runs_under or 'another interpreter'}: not compared"
        for name, one in a.series.items()
        if name in b.series and one.runs_under != b.series[name].runs_under
    )
    if a.within_process or b.within_process:
        said.append(
            "rounds of one process: the intervals do not cover what differs between processes"
        )
    return said


def same_run(a: Results, b: Results) -> bool:
    """Whether both sides are one run of ours, however each was named.

    Of one second two machines may each have a run: so the figures are looked at as well.
    """
    return bool(a.run) and (a.run, a.series, a.troubles) == (b.run, b.series, b.troubles)


VERDICTS: Mapping[int, str] = {
    0: "not worse: no figure of B is worse than A's by more than {0}, and intervals exclude it",
    1: "worse: a figure of B is surely worse than A's, by more than {0}",
    3: "invalid: B has trials that went wrong where A's did not",
    4: "inconclusive: an interval does not exclude that B is worse by more than {0}",
    5: "nothing in common: no figure is in both",
}
"""By exit code, in the words of docs/gate.md."""


def verdict_of(code: int, threshold: float | None) -> str:
    """Return the sentence for an exit code; empty where no threshold was asked for."""
    return "" if threshold is None else VERDICTS[code].format(f"{threshold:.1%}")


def exit_code(
    compared: Sequence[Comparison], a: Results, b: Results, threshold: float | None
) -> int:
    """Return the gate's exit code; without a threshold only what is invalid fails.

    0 nothing worse, 1 surely worse by more than `threshold`, 3 invalid in B and not in A,
    4 it may be worse than that, 5 nothing in common.
    """
    if same_run(a, b):
        return 0
    if set(b.troubles) - set(a.troubles):
        return 3
    if threshold is None:
        return 0
    if not compared:
        return 5
    limit = 1 + threshold
    if any(c.answer is Answer.WORSE and c.worse_by[0] > limit for c in compared):
        return 1
    # Asked this way round, a bound that is no number would not pass either.
    passed = all(c.answer is not Answer.TOO_FEW and c.worse_by[1] <= limit for c in compared)
    return 0 if passed else 4
