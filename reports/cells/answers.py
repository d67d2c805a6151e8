"""The answers that a report leads with: who is first, by how much, and which model for which need.

First are all models that no other surely beats (`reports.stats.ranks_of`). How far ahead they are
is the ratio, within blocks, of the best of them to the best of those that are surely beaten.
Recommendations are drawn from the run's own figures; a need that it has no scenario for is named.
"""

from __future__ import annotations

__all__ = [
    "ASKED",
    "NEEDS",
    "Answers",
    "Lead",
    "RankTable",
    "Recommendation",
    "answers_of",
    "asked_of",
]

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
from reports.stats import LEAST_COVERAGE, Interval, Ranks, range_coverage, ratio_interval
from reports.units import DASH, number

COSTS = {CPU: "us CPU per request", CPU_PER_MIB: "ms CPU per MiB", PSS_LOADED: "MiB"}
BIG_BYTES = 64 * 1024
"""From this payload on a request is a big transfer."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Who is first in a workload by one figure, and how far ahead."""

    workload: Workload
    metric: Metric
    ranks: Mapping[str, Ranks]
    leaders: tuple[Cell, ...]  # those who share the first rank, best median first
    runner_up: Cell | None  # the best of those surely beaten
    ratio: Interval | None  # how many times as good as the runner-up, above 1
    told: bool  # whether there were trials enough to claim any difference

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
        if not self.told:
            return "too few trials to tell"
        if not (self.ratio and self.runner_up):
            return "not told apart" if len(self.leaders) > 1 else ""
        times, low, high = (number(bound) for bound in self.ratio[:3])
        if self.metric.more_is_better:
            return f"{times} times {self.runner_up.subject} ({low} {DASH} {high})"
        return f"{self.runner_up.subject} has {times} times that ({low} {DASH} {high})"

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
    ratio = None
    if runner_up:
        pair = leaders[0].by_block(metric), runner_up.by_block(metric)
        ratio = ratio_interval(*(pair if metric.more_is_better else reversed(pair)))
    told = range_coverage(len(leaders[0].by_block(metric))) >= LEAST_COVERAGE
    return Lead(workload, metric, ranks, leaders, runner_up, ratio, told)


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
        lambda load: load.file_bytes > 0 or load.size_bytes >= BIG_BYTES,
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
