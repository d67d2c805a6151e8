"""The answers that a report leads with: who is first, by how much, and which model for which need.

First are all models that no other surely beats (`reports.stats.ranks_of`). How far ahead they are
is the ratio, within blocks, to the best of those that are surely beaten, of the one that beats it:
the interval shown is that of the comparison that decided. Nobody is named first of fewer than five
trials, or of a field of one; and a model that is left out is named with the reason.
Recommendations are drawn from the run's own figures; a need that it has no scenario for is named.
"""

from __future__ import annotations

__all__ = [
    "ASKED",
    "LEAST_TRIALS",
    "NEEDS",
    "Answers",
    "Lead",
    "RankTable",
    "Recommendation",
    "answers_of",
    "asked_of",
]

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.cells.workload import Cell, Workload
from reports.load import Load
from reports.metrics import (
    CPU,
    CPU_PER_MIB,
    P50,
    P99,
    PSS_LOADED,
    PSS_PER_CONNECTION,
    THROUGHPUT,
    Metric,
)
from reports.stats import (
    LEAST_COVERAGE,
    Interval,
    Ranks,
    range_coverage,
    ratio_interval,
    surely_differ,
)
from reports.units import DASH, number

COSTS = {CPU: "us CPU per request", CPU_PER_MIB: "ms CPU per MiB", PSS_LOADED: "MiB"}
MOST_NAMED = 4
"""Of models that share the first rank: beyond, they are counted."""
LEAST_TRIALS = next(n for n in itertools.count(1) if range_coverage(n) >= LEAST_COVERAGE)


@dataclass(frozen=True, slots=True)
class Lead:
    """Who is first in a workload by one figure, and how far ahead."""

    workload: Workload
    metric: Metric
    ranks: Mapping[str, Ranks]
    leaders: tuple[Cell, ...]  # those who share the first rank, best first
    runner_up: Cell | None  # the best of those surely beaten
    winner: Cell | None  # the best of those that surely beat the runner-up
    ratio: Interval | None  # how many times as good as the runner-up the winner is, above 1
    untold: str  # why no difference can be claimed and nobody is first; empty: there is a first
    left_out: tuple[Cell, ...]  # not ranked by this figure, best first

    @property
    def best(self) -> Cell:
        """The leader of the best median."""
        return self.leaders[0]

    @property
    def figure(self) -> str:
        """The best leader's figure in words, with its unit."""
        # Durations in words carry their unit.
        unit = "" if self.metric.latency else self.metric.unit
        return f"{self.best.write(self.metric)} {unit}".strip()

    @property
    def ahead(self) -> str:
        """By how much, in words, or why nothing is said about it."""
        if self.untold:
            return self.untold
        if all(cell.tied_by(self.metric) for cell in self.leaders) and len(self.leaders) > 1:
            return "at the ceiling of what was asked for; the order is by CPU"
        if not (self.ratio and self.runner_up and self.winner):
            return "not told apart" if len(self.leaders) > 1 else ""
        times, low, high = (number(bound) for bound in self.ratio[:3])
        whose = "" if self.winner is self.best else f"{self.winner.subject}: "
        if self.metric.more_is_better:
            return f"{whose}{times} times {self.runner_up.subject} ({low} {DASH} {high})"
        than = "that" if self.winner is self.best else f"that of {self.winner.subject}"
        return f"{self.runner_up.subject} has {times} times {than} ({low} {DASH} {high})"

    @property
    def names(self) -> str:
        """Those who are first, in words: all that the run does not tell apart, but for a crowd."""
        named = [cell.subject for cell in self.leaders[:MOST_NAMED]]
        if more := len(self.leaders) - len(named):
            return f"{', '.join(named)} or {more} more"
        return " or ".join(filter(None, (", ".join(named[:-1]), named[-1])))

    @property
    def told(self) -> bool:
        """Whether anybody is first."""
        return not self.untold

    @property
    def beyond(self) -> str:
        """Which models that are not ranked have a figure at least as good, in words, and why."""
        sign = 1 if self.metric.more_is_better else -1
        best = sign * self.best.figures[self.metric.name].value
        cells = [
            cell
            for cell in self.left_out
            if cell.ranked and sign * cell.figures[self.metric.name].value >= best
        ]
        named = "; ".join(
            f"{cell.subject} ({cell.unranked_because(self.metric)})" for cell in cells
        )
        words = "fast" if self.metric.more_is_better else "good"
        return f"not ranked, at least as {words}: {named}" if named else ""

    @property
    def missing(self) -> str:
        """Which other models are left out, in words, and why."""
        cells = [cell for cell in self.left_out if not cell.ranked]
        named = "; ".join(
            f"{cell.subject} ({cell.unranked_because(self.metric)})" for cell in cells
        )
        return f"left out: {named}" if named else ""

    @property
    def at_what(self) -> str:
        """What the best leader costs, in words."""
        costs = (
            f"{self.best.write(metric)} {COSTS[metric]}"
            for metric in map(self.workload.suited, (CPU, PSS_LOADED))
            if metric is not self.metric and metric.name in self.best.figures
        )
        return ", ".join(costs)


def lead_of(workload: Workload, metric: Metric, ranks: Mapping[str, Ranks]) -> Lead | None:
    """Return who is first by a figure; None when no model that may be ranked has it."""
    if not ranks:
        return None
    cells = {cell.subject: cell for cell in workload.cells}
    leaders = tuple(cells[subject] for subject, rank in ranks.items() if rank.first == 1)
    runner_up = next((cells[subject] for subject, rank in ranks.items() if rank.first > 1), None)
    winner, ratio = None, None
    if runner_up:
        # Leaders first: they are the ones that it is said of, if any of them decided.
        for cell in (*leaders, *(cells[subject] for subject in ranks)):
            pair = cell.by_block(metric), runner_up.by_block(metric)
            ratio = ratio_interval(*(pair if metric.more_is_better else reversed(pair)))
            if surely_differ(ratio) and ratio.low > 1:
                winner = cell
                break
    left_out = tuple(
        cell
        for cell in workload.ordered(metric)
        if cell.subject not in ranks and (metric.name in cell.figures or not cell.ranked)
    )
    untold = _untold([len(cells[subject].by_block(metric)) for subject in ranks])
    return Lead(
        workload, metric, ranks, leaders, runner_up, winner, ratio if winner else None, untold,
        left_out,
    )  # fmt: skip


def _untold(trials: Sequence[int]) -> str:
    """Return why nobody is first among models with so many trials; empty when somebody is."""
    if len(trials) < 2:
        return "nothing to compare it with"
    if range_coverage(min(trials)) < LEAST_COVERAGE:
        return f"too few trials to tell: {min(trials)} of the {LEAST_TRIALS} that it takes"
    return ""


class Need(NamedTuple):
    """What a reader's workload may be like, and where a run would show it."""

    title: str
    shown_by: Callable[[Load], bool]
    metric: Metric
    scenarios: str  # that would show it, for a run that has none of them


NEEDS: Sequence[Need] = (
    Need(
        "Many idle connections",
        lambda load: load.idle_connections > 0,
        PSS_PER_CONNECTION,
        "connections",
    ),
    Need("CPU-heavy requests", lambda load: load.kind == "COMPUTE", THROUGHPUT, "compute"),
    Need("Requests that wait", lambda load: load.kind == "WAIT", THROUGHPUT, "wait"),
    Need("Short connections", lambda load: load.session == 1, THROUGHPUT, "churn"),
    Need(
        "Big transfers",
        lambda load: load.bulk_bytes > 0,
        THROUGHPUT,
        "bulk or file-get",
    ),
    Need("Tail latency at a given rate", lambda load: load.rate > 0, P99, "rate"),
)


class Recommendation(NamedTuple):
    """A need, and what this run says to it; without a lead it says nothing."""

    need: Need
    leads: tuple[Lead, ...]  # one for each scenario that shows it


ASKED = (THROUGHPUT, P50, P99, CPU, PSS_LOADED)
"""By which figures models are compared under every load, beside its own headline."""

RankTable = Mapping[tuple[tuple[str, str], str], Mapping[str, Ranks]]
"""Ranks of models, by the name of the workload and of the figure."""


def asked_of(workload: Workload) -> list[Metric]:
    """Return the figures by which anybody asks who is first in a workload."""
    if not workload.comparable:  # a rate that every model has of its own is no common ground
        return [workload.headline]
    needs = (need.metric for need in NEEDS if need.shown_by(workload.load))
    return list(dict.fromkeys(map(workload.suited, (workload.headline, *ASKED, *needs))))


@dataclass(frozen=True, slots=True)
class Answers:
    """Who is first at what, in each workload that compares, and for each need."""

    leads: Mapping[tuple[tuple[str, str], str], Lead]  # by workload and figure, as a RankTable
    recommendations: tuple[Recommendation, ...]  # one for every need

    def lead(self, workload: Workload, metric: Metric) -> Lead | None:
        """Return who is first by a figure of `asked_of`; None when no model may be ranked by it."""
        return self.leads.get((workload.name, workload.suited(metric).name))


def answers_of(workloads: Sequence[Workload], ranks: RankTable) -> Answers:
    """Return the answers that ranks give; they hold every figure of `asked_of`."""
    leads = {
        (workload.name, metric.name): lead
        for workload in workloads
        if workload.comparable
        for metric in asked_of(workload)
        if (lead := lead_of(workload, metric, ranks[workload.name, metric.name]))
    }
    return Answers(leads, tuple(_recommendation(need, workloads, leads) for need in NEEDS))


def _recommendation(
    need: Need, workloads: Sequence[Workload], leads: Mapping[tuple[tuple[str, str], str], Lead]
) -> Recommendation:
    """Return the answer to a need: the most demanding level of each scenario that shows it."""
    by_scenario: dict[str, Lead] = {}
    for workload in workloads:
        if need.shown_by(workload.load):
            lead = leads.get((workload.name, workload.suited(need.metric).name))
            # Workloads stand in the order of their demands; the last that anybody meets counts.
            if lead:
                by_scenario[workload.scenario] = lead
    return Recommendation(need, tuple(by_scenario.values()))
