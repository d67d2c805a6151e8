"""The gate: from pairs of servers, one of the base and one of the head, to verdicts. Pure.

Unit
    A pair is two fresh processes that took turns under the same load, slice by slice, so what
    disturbs the machine for longer than a slice disturbs both. Slices of a pair share its two
    processes and say nothing about other processes; a pair is one observation:
    d = median over its slices of log(head/base), turned so that above 0 is worse.
Effect
    Estimate, p and interval over the pairs: `reports.gate.effects`.
Verdict
    A metric is suspected when its estimate is beyond the threshold and p < ALPHA. A suspicion is
    a verdict only when a fresh block of pairs, alone, is suspected in the same direction. It passes
    only when nothing is suspected and the interval ends below the guard. Whatever is neither asks
    for another block; at the cap it is inconclusive.
"""

from __future__ import annotations

__all__ = [
    "ERRORS",
    "GATE_METRICS",
    "LIMITS",
    "GateMetric",
    "GateReport",
    "Outcome",
    "Pair",
    "Verdict",
    "judge",
    "stand",
]

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np

from reports import units
from reports.gate.effects import Effect, Limit, direction, effect_of
from reports.key import CellKey
from reports.schema import Record, Values

SCHEMA = 1


class GateMetric(NamedTuple):
    """A figure that the gate judges."""

    name: str
    title: str
    unit: str
    write: Callable[[float], str]
    limit: Limit
    more_is_better: bool = False
    warns: bool = False  # and never fails

    def worse_by(self, base: float, head: float) -> float:
        """Return log(head/base), turned so that above 0 is worse."""
        ratio = math.log(head / base)
        return -ratio if self.more_is_better else ratio

    def change(self, worse_by: float) -> float:
        """Return the share by which the figure itself moved: -0.05 is 5% less than the base's."""
        return math.expm1(-worse_by if self.more_is_better else worse_by)


GATE_METRICS: Mapping[str, GateMetric] = {
    row.name: row
    for row in (
        GateMetric(
            "throughput",
            "Throughput",
            "requests/s",
            units.number,
            Limit(0.05, 0.15),
            more_is_better=True,
        ),
        GateMetric("p50", "Latency p50", "us", units.duration, Limit(0.05, 0.10)),
        GateMetric("p99", "Latency p99", "us", units.duration, Limit(0.25, math.inf), warns=True),
        GateMetric("cpu", "CPU per request", "us", units.duration, Limit(0.05, 0.10)),
        GateMetric("pss", "PSS under load", "MiB", units.mebibytes, Limit(0.10, 0.10)),
    )
}

LIMITS: Mapping[str, Limit] = {name: metric.limit for name, metric in GATE_METRICS.items()}

ERRORS = "errors"
"""Judged as well, by kinds and not by a ratio."""
UNFINISHED = "unfinished"
"""The one kind that both sides may have: some models do not serve every connection."""


def _pair_of_schema_1(old: Values) -> Values:
    """Give a pair of schema 1 a key; it did not keep the level."""
    values = dict(old)
    cell = {name: values.pop(name) for name in ("scenario", "model")}
    return values | {"cell": cell | {"level": ""}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Record):
    """Two fresh servers that took turns: what was measured of them.

    Schema history
        1  (2026-11)  the first.
        2  (2026-11)  has a `CellKey`, with the level and the interpreter.
    """

    SCHEMA: ClassVar[int] = 2
    READERS: ClassVar[Mapping[int, Callable[[Values], Values]]] = {1: _pair_of_schema_1}

    cell: CellKey
    placement: str
    block: int  # from 1
    started: str  # UTC, ISO 8601
    # By metric, slice by slice, the base's figure and the head's; PSS is weighed once.
    figures: dict[str, list[tuple[float, float]]]
    base_errors: dict[str, int] = field(default_factory=dict)  # by kind, those above zero
    head_errors: dict[str, int] = field(default_factory=dict)
    failure: str = ""  # why there are no figures: one sentence, and the server's last words
    failed: str = ""  # whose failure: base or head; empty: the machine's or ours

    def worse_by(self, metric: GateMetric) -> float:
        """Return d, the pair's one observation of a metric."""
        logs = [metric.worse_by(base, head) for base, head in self.figures[metric.name]]
        return float(np.median(logs))

    def middle(self, metric: GateMetric, side: int) -> float:
        """Return the median over the slices of one side: 0 the base, 1 the head."""
        return float(np.median([slice_[side] for slice_ in self.figures[metric.name]]))


class Outcome(StrEnum):
    """What came of a metric, the worst first."""

    INVALID = "invalid"  # a server did not start, died, or gave nothing to judge
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"
    NO_BASELINE = "no baseline"
    ALLOWED = "allowed"  # a regression that somebody acknowledged
    WARNING = "warning"  # a regression of a metric that only warns
    IMPROVED = "improved"
    PASS = "pass"  # noqa: S105  # no word to log in with


class Standing(NamedTuple):
    """Where a metric stands after the blocks so far."""

    outcome: Outcome
    effect: Effect  # of all pairs
    confirmation: Effect | None  # of the block that confirmed
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether another block may still decide it."""
        return self.outcome is Outcome.INCONCLUSIVE


def stand(blocks: Sequence[Sequence[float]], limit: Limit, *, warns: bool = False) -> Standing:
    """Judge one metric by its pairs' d, block after block as they were measured."""
    pooled: list[float] = []
    for block in blocks:
        before = direction(effect_of(pooled), limit) if pooled else 0
        pooled.extend(block)
        if before and direction(fresh := effect_of(block), limit) == before:
            worse = Outcome.WARNING if warns else Outcome.REGRESSION
            outcome = worse if before > 0 else Outcome.IMPROVED
            return Standing(outcome, effect_of(pooled), fresh)
    effect = effect_of(pooled)
    suspected = direction(effect, limit)
    if suspected:
        word = "a worsening" if suspected > 0 else "an improvement"
        return Standing(Outcome.INCONCLUSIVE, effect, None, f"{word} is not confirmed")
    if effect.high < math.log1p(limit.guard):
        return Standing(Outcome.PASS, effect, None)
    reason = f"it may be {math.expm1(effect.high):.0%} worse"
    return Standing(Outcome.INCONCLUSIVE, effect, None, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of one metric of one cell."""

    cell: CellKey
    metric: str  # a row of GATE_METRICS, or ERRORS
    outcome: Outcome
    reason: str = ""  # a sentence where the figures do not say it
    base: float | None = None  # medians over pairs, in the metric's unit
    head: float | None = None
    effect: Effect | None = None
    confirmation: Effect | None = None
    limit: Limit | None = None

    @property
    def model(self) -> str:
        """What was judged: the model, and its interpreter where it has one of its own."""
        return self.cell.subject

    @property
    def scenario(self) -> str:
        """The name of the load."""
        return self.cell.scenario

    @property
    def name(self) -> str:
        """The verdict's name: `thread/echo/cpu`."""
        return f"{self.cell.name}/{self.metric}"

    @property
    def smallest(self) -> float | None:
        """The smallest worsening that it could have seen, as a share; None without figures."""
        if self.effect is None or self.limit is None:
            return None
        return self.effect.smallest(self.limit.threshold)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values; changes are shares of the base's figure."""
        return {
            "name": self.name,
            **self.cell._asdict(),
            "metric": self.metric,
            "unit": GATE_METRICS[self.metric].unit if self.metric in GATE_METRICS else "",
            "outcome": str(self.outcome),
            "reason": self.reason,
            "base": self.base,
            "head": self.head,
            "effect": _effect_json(self.metric, self.effect),
            "confirmation": _effect_json(self.metric, self.confirmation),
            "smallest_seen": self.smallest,
            "threshold": self.limit.threshold if self.limit else None,
            "guard": self.limit.guard if self.limit and math.isfinite(self.limit.guard) else None,
        }


def _effect_json(metric: str, effect: Effect | None) -> dict[str, float] | None:
    if effect is None:
        return None
    low, high = sorted(GATE_METRICS[metric].change(bound) for bound in (effect.low, effect.high))
    return {
        "change": GATE_METRICS[metric].change(effect.estimate),
        "low": low,
        "high": high,
        "p": effect.p,
        "noise": effect.noise,
        "pairs": effect.pairs,
    }


def judge(blocks: Sequence[Sequence[Pair]], limits: Mapping[str, Limit]) -> list[Verdict]:
    """Return the verdicts on one model under one scenario, from its pairs block by block.

    `limits` has a row for each metric judged. Where a server failed or answered wrongly, that is
    the only verdict: its figures are not those of the work it should have done.
    """
    pairs = [pair for block in blocks for pair in block]
    trouble = _trouble(pairs)
    if trouble.outcome is not Outcome.PASS:
        return [trouble]
    return [trouble, *(_judge_metric(GATE_METRICS[name], blocks, limits[name]) for name in limits)]


def _trouble(pairs: Sequence[Pair]) -> Verdict:
    """Return the verdict on failures and errors."""
    blank = Verdict(cell=pairs[0].cell, metric=ERRORS, outcome=Outcome.PASS)
    for pair in pairs:
        if pair.failure:
            whose = f"{pair.failed}: " if pair.failed else ""
            return dataclasses.replace(
                blank, outcome=Outcome.INVALID, reason=f"{whose}{pair.failure}"
            )
    base, head = (
        _counted(errors)
        for errors in zip(*((p.base_errors, p.head_errors) for p in pairs), strict=True)
    )
    if new := {kind: count for kind, count in head.items() if kind not in base}:
        return dataclasses.replace(
            blank, outcome=Outcome.REGRESSION, reason=f"new in the head: {_said(new)}"
        )
    if both := {kind: count for kind, count in head.items() if kind != UNFINISHED}:
        return dataclasses.replace(
            blank,
            outcome=Outcome.INVALID,
            reason=f"errors on both sides, {_said(both)} in the head",
        )
    return blank


def _counted(errors: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum(map(Counter, errors), Counter())


def _said(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(errors.items()))


def _judge_metric(metric: GateMetric, blocks: Sequence[Sequence[Pair]], limit: Limit) -> Verdict:
    pairs = [pair for block in blocks for pair in block]
    observed = [[pair.worse_by(metric) for pair in block] for block in blocks]
    standing = stand(observed, limit, warns=metric.warns)
    base, head = (
        float(np.median([pair.middle(metric, side) for pair in pairs])) for side in (0, 1)
    )
    return Verdict(
        cell=pairs[0].cell,
        metric=metric.name,
        outcome=standing.outcome,
        reason=standing.reason,
        base=base,
        head=head,
        effect=standing.effect,
        confirmation=standing.confirmation,
        limit=limit,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """Everything that a gate has to say; each renderer takes one."""

    base: str  # what was compared with what, as a reader knows it: a commit, a baseline's name
    head: str
    started: str  # UTC, ISO 8601
    seconds: float
    placement: str
    method: str  # one sentence: side by side or against a stored baseline, pairs, slices
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    verdicts: list[Verdict]
    left_out: dict[str, str] = field(default_factory=dict)  # model: why
    notes: list[str] = field(default_factory=list)  # sentences
    enforced: bool = True  # False: regressions warn only

    def worst(self) -> list[Verdict]:
        """Return the verdicts, the worst outcomes first, otherwise in their order."""
        order = list(Outcome)
        return sorted(self.verdicts, key=lambda verdict: order.index(verdict.outcome))

    def having(self, *outcomes: Outcome) -> list[Verdict]:
        """Return the verdicts with one of these outcomes."""
        return [verdict for verdict in self.verdicts if verdict.outcome in outcomes]

    def exit_code(self, *, inconclusive_passes: bool = False) -> int:
        """Return 0 pass, 1 regression, 3 invalid, 4 inconclusive, 5 no baseline for any model."""
        if self.having(Outcome.INVALID):
            return 3
        if self.enforced and self.having(Outcome.REGRESSION):
            return 1
        if not inconclusive_passes and self.having(Outcome.INCONCLUSIVE):
            return 4
        judged = [each for each in self.verdicts if each.outcome is not Outcome.NO_BASELINE]
        return 5 if self.verdicts and not judged else 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        fields = {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name != "verdicts"
        }
        verdicts = [verdict.to_json() for verdict in self.verdicts]
        return {"type": "gate", "schema": SCHEMA, **fields, "verdicts": verdicts}
