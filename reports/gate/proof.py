"""How often the gate is right: verdicts resampled from recorded pairs, and live ones. Pure.

A resampled verdict is one that a gate might have given: blocks of pairs are drawn without
replacement from a recording, the confirmation's apart from the first, and judged as ever. Where
both sides ran the same code, the two of a pair are exchangeable, so each pair may be drawn the
other way round. All resamples come from the same pairs: they are as many as one likes, and no
more independent than those pairs are. So their shares have no interval of their own, and live
verdicts are counted besides.
"""

from __future__ import annotations

__all__ = ["CERTAIN", "RESAMPLES", "THIS_GATE", "Aim", "CaseProof", "Live", "aims", "prove"]

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from reports.gate.effects import Floats, Limit, effect_of, hodges_lehmann
from reports.gate.rival_rules import RIVAL_RULES
from reports.gate.verdicts import GATE_METRICS, GateMetric, Outcome, Pair, stand

RESAMPLES = 1_000
SEED = 7
THIS_GATE = "this gate"


class Costs(NamedTuple):
    """One metric of all pairs of a case, as costs: arrays (pairs, slices)."""

    base: Floats
    head: Floats

    @classmethod
    def of(cls, pairs: Sequence[Pair], metric: GateMetric) -> Costs:
        """Take a metric out of pairs; throughput becomes seconds per answer."""
        both = np.array([pair.figures[metric.name] for pair in pairs], float)
        costs = 1 / both if metric.more_is_better else both
        return cls(costs[:, :, 0], costs[:, :, 1])

    def drawn(self, at: npt.NDArray[np.intp], swapped: npt.NDArray[np.bool_]) -> Costs:
        """Return the pairs `at`, base and head exchanged where `swapped`."""
        base, head = self.base[at], self.head[at]
        turned = swapped[:, None]
        return Costs(np.where(turned, head, base), np.where(turned, base, head))

    def first(self, pairs: int) -> Costs:
        """Return the first so many."""
        return Costs(self.base[:pairs], self.head[:pairs])

    def worse_by(self) -> Floats:
        """Return d of every pair, as the gate takes it."""
        return np.asarray(np.median(np.log(self.head / self.base), axis=1))


Shares = dict[str, float]
"""By metric, a share of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseProof:
    """What resampling one case gave."""

    name: str
    pairs: int
    resamples: int
    changes: Shares  # of all pairs together, as the share by which the figure moved
    noise: Shares  # standard deviation of d between pairs
    dependence: Shares  # intraclass correlation of the slices of a pair
    flagged: dict[str, Shares]  # by rule: how often it calls the metric worse
    improved: Shares  # how often this gate calls it better
    inconclusive: Shares
    failed: float  # how often this gate fails, whatever the metric
    coverage: Shares  # how often a block's interval holds the truth

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON-ready values."""
        return dataclasses.asdict(self)


def prove(
    name: str,
    pairs: Sequence[Pair],
    *,
    same_code: bool,
    limits: Mapping[str, Limit],
    block: int,
    most_blocks: int,
    resamples: int = RESAMPLES,
) -> CaseProof:
    """Resample verdicts on one case; ValueError when there are too few pairs for that."""
    blocks = min(most_blocks, len(pairs) // block)
    if blocks < 2:
        raise ValueError(f"{len(pairs)} pairs are too few for a block of {block} and another")
    rng = np.random.default_rng(SEED)
    costs = {metric.name: Costs.of(pairs, metric) for metric in GATE_METRICS.values()}
    estimates = {metric: hodges_lehmann(cost.worse_by()) for metric, cost in costs.items()}
    count = _Count(resamples)
    for _ in range(resamples):
        at = rng.permutation(len(pairs))[: blocks * block]
        swapped = rng.random(len(at)) < 0.5 if same_code else np.zeros(len(at), bool)
        drawn = {metric: cost.drawn(at, swapped) for metric, cost in costs.items()}
        observed = {
            metric: cost.worse_by().reshape(blocks, block) for metric, cost in drawn.items()
        }
        count.verdict(observed, limits)
        # With replacement: what is drawn without it is nearer to all pairs than new ones would be.
        again = rng.integers(len(pairs), size=block)
        fresh = {metric: cost.drawn(again, swapped[:block]) for metric, cost in costs.items()}
        count.intervals(fresh, {} if same_code else estimates)
        count.rules({metric: cost.first(block) for metric, cost in drawn.items()})
    return CaseProof(
        name=name,
        pairs=len(pairs),
        resamples=resamples,
        changes={metric: GATE_METRICS[metric].change(value) for metric, value in estimates.items()},
        noise={metric: float(cost.worse_by().std(ddof=1)) for metric, cost in costs.items()},
        dependence={metric: intraclass(cost) for metric, cost in costs.items()},
        flagged={
            THIS_GATE: count.share(Outcome.REGRESSION, Outcome.WARNING),
            **{rule: count.by_rule(rule) for rule in RIVAL_RULES},
        },
        improved=count.share(Outcome.IMPROVED),
        inconclusive=count.share(Outcome.INCONCLUSIVE),
        failed=count.failed / resamples,
        coverage={metric: count.held[metric] / resamples for metric in GATE_METRICS},
    )


class _Count:
    """What the resamples of one case gave, counted."""

    def __init__(self, resamples: int) -> None:
        self._resamples = resamples
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()
        self._flags: Counter[tuple[str, str]] = Counter()
        self.held: Counter[str] = Counter()
        self.failed = 0

    def verdict(self, observed: Mapping[str, Floats], limits: Mapping[str, Limit]) -> None:
        """Judge d of shape (blocks, pairs), a further block only while a metric is open."""
        for blocks in range(1, len(next(iter(observed.values()))) + 1):
            found = {
                metric: stand(list(d[:blocks]), limits[metric], warns=GATE_METRICS[metric].warns)
                for metric, d in observed.items()
            }
            if not any(standing.open for standing in found.values()):
                break
        self._outcomes.update((metric, each.outcome) for metric, each in found.items())
        self.failed += any(each.outcome is Outcome.REGRESSION for each in found.values())

    def intervals(self, drawn: Mapping[str, Costs], truth: Mapping[str, float]) -> None:
        """See whether the interval of a block holds what is true; no truth given: no difference."""
        for metric, cost in drawn.items():
            effect = effect_of(list(cost.worse_by()))
            self.held[metric] += effect.low <= truth.get(metric, 0.0) <= effect.high

    def rules(self, costs: Mapping[str, Costs]) -> None:
        """Ask every other rule."""
        self._flags.update(
            (rule, metric)
            for rule, is_worse in RIVAL_RULES.items()
            for metric, cost in costs.items()
            if is_worse(cost.base, cost.head)
        )

    def share(self, *outcomes: Outcome) -> Shares:
        """Return by metric how often this gate came to one of these."""
        return {
            metric: sum(self._outcomes[metric, each] for each in outcomes) / self._resamples
            for metric in GATE_METRICS
        }

    def by_rule(self, rule: str) -> Shares:
        """Return by metric how often another rule calls it worse."""
        return {metric: self._flags[rule, metric] / self._resamples for metric in GATE_METRICS}


def intraclass(cost: Costs) -> float:
    """Return how alike the slices of a pair are, beside those of others: 1 the same, 0 not at all.

    ICC(1) of their log ratios (Shrout and Fleiss 1979, Psychological Bulletin 86:420): below 0
    they even take turns. With a single slice there is nothing to tell: 0.
    """
    logs = np.log(cost.head / cost.base)
    slices = logs.shape[1]
    if slices < 2:
        return 0.0
    between = slices * float(logs.mean(axis=1).var(ddof=1))
    within = float(logs.var(axis=1, ddof=1).mean())
    total = between + (slices - 1) * within
    return (between - within) / total if total else 0.0


def upper_bound(alarms: int, verdicts: int) -> float:
    """Return the share of alarms that is exceeded with 5% probability only.

    Clopper and Pearson 1934, Biometrika 26:404; 1 without any verdict.
    """
    if alarms >= verdicts:
        return 1.0
    return float(betaincinv(alarms + 1, verdicts - alarms, 0.95))


class Live(NamedTuple):
    """Verdicts that real gates gave on two copies of the same code."""

    gates: int  # of one model each
    failed: int  # gates with a regression
    inconclusive: int
    by_metric: dict[str, dict[str, int]]  # metric: outcome: how many

    @classmethod
    def of(cls, gates: Sequence[Sequence[Mapping[str, Any]]]) -> Self:
        """Count recorded verdicts, one sequence of `Verdict.to_json()` a gate."""
        by_metric: dict[str, Counter[str]] = defaultdict(Counter)
        for gate in gates:
            for verdict in gate:
                by_metric[verdict["metric"]][verdict["outcome"]] += 1

        def having(outcome: Outcome) -> int:
            return sum(any(verdict["outcome"] == outcome for verdict in gate) for gate in gates)

        return cls(
            len(gates),
            having(Outcome.REGRESSION),
            having(Outcome.INCONCLUSIVE),
            {metric: dict(counted) for metric, counted in by_metric.items()},
        )


class Aim(NamedTuple):
    """Something that must hold, and what was found."""

    sentence: str
    found: str
    met: bool


LEAST_FOUND = {"+8% CPU": 0.80, "+10% CPU": 0.95, "+20% CPU": 1.0}
MOST_FAILED = {"A/A": 0.01, "speed-up": 0.0}
CERTAIN = {"crash": Outcome.INVALID, "wrong reply": Outcome.REGRESSION}
"""Cases that need no statistics: the verdict that every few pairs must give."""
LEAST_COVERED = 0.93


def aims(
    cases: Mapping[str, CaseProof], certain: Mapping[str, Outcome], live: Live | None
) -> list[Aim]:
    """Return what must hold of the cases that there are, and whether it does."""
    rows = []
    for name, most in MOST_FAILED.items():
        if case := cases.get(name):
            found = f"{case.failed:.1%} of {case.resamples:,} resampled"
            rows.append(Aim(f"{name}: at most {most:.0%} fail", found, case.failed <= most))
    for name, least in LEAST_FOUND.items():
        if case := cases.get(name):
            share = case.flagged[THIS_GATE]["cpu"]
            found = f"{share:.1%} (measured {case.changes['cpu']:+.1%})"
            rows.append(Aim(f"{name}: at least {least:.0%} found", found, share >= least))
    for name, outcome in certain.items():
        rows.append(Aim(f"{name}: {CERTAIN[name]}", str(outcome), outcome is CERTAIN[name]))
    if cases:
        covered = [share for case in cases.values() for share in case.coverage.values()]
        mean = float(np.mean(covered))
        found = f"{mean:.1%}, at the least {min(covered):.1%}"
        sentence = f"intervals hold the truth in {LEAST_COVERED:.0%}"
        rows.append(Aim(sentence, found, mean >= LEAST_COVERED))
    if live:
        bound = upper_bound(live.failed, live.gates)
        found = f"{live.failed} of {live.gates} (at 95%: under {bound:.0%} of all)"
        rows.append(Aim("no live A/A gate fails", found, live.failed == 0))
    return rows
