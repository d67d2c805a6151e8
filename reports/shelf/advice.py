"""Advice from a stored run: which models suit a load, what that rests on, and what nobody knows.

Nothing is modelled that was not measured. The workload of the run that is nearest to what was asked
stands for it, and how far it lies off is said. A model falls out only by a figure of its own that
surely misses what was asked; what a figure cannot decide stays in, and is said. Of those that stay,
all are named that no other is surely ahead of: the first may be ranked a to b, and whoever may be
as good as b is named with it.
"""

from __future__ import annotations

__all__ = ["QUESTIONS", "REQUESTS", "Advice", "Asked", "advise"]

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from reports.cells.answers import LEAST_TRIALS
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.load import Load
from reports.metrics import CPU, P99, PSS_LOADED, SERVER_CORES, THROUGHPUT
from reports.units import duration, number

REQUESTS = ("small", "big", "wait", "short")
NEAR = 2.0
"""A load that lies off by no more than this factor is as asked."""
LONG_US = 200.0
"""From so much CPU in a request on, COMPUTE stands for it."""


class Asked(NamedTuple):
    """What somebody wants to serve; 0 where that was not said."""

    connections: int = 64
    request: str = "small"
    think_ms: float = 0.0  # between an answer and the next request; 0: no pause
    cpu_us: float = 0.0  # of each request, in the service itself
    memory_mib: float = 0.0
    cores: int = 0
    p99_ms: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second, at most: nobody asks while he thinks."""
        return self.connections * 1e3 / self.think_ms if self.think_ms else 0.0


QUESTIONS = {
    "connections": "How many connections at a time?",
    "request": "What is a request: small, big (a transfer), wait (for something else), short (a"
    " connection each)? And after a comma: how many ms from an answer to the next?",
    "cpu_us": "How many us of CPU does your code need for a request?",
    "memory_mib": "How many MiB may the server take? (0: any)",
    "cores": "How many cores may it use? (0: any)",
    "p99_ms": "Within how many ms must 99% be answered? (0: no promise)",
}
"""What is asked of who gives no options: six questions, by the field that each fills."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model, and what was found against it."""

    model: str
    figures: dict[str, str]  # in words, by title
    against: tuple[str, ...]  # surely missed
    untold: tuple[str, ...]  # not decided by what was measured


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer."""

    asked: Asked
    scenario: str
    level: str
    distance: tuple[str, ...]  # how far the workload lies from what was asked
    by: str  # the figure that decides
    named: tuple[str, ...]  # those that suit, best first; several are not told apart
    candidates: tuple[Candidate, ...]
    unknown: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        if not self.named:
            return "No model is named."
        which = " or ".join(self.named)
        apart = ", which this run does not tell apart" if len(self.named) > 1 else ""
        return f"{which}{apart}, by {self.by} under {self.scenario} ({self.level})."

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {**asdict(self), "asked": self.asked._asdict(), "sentence": self.sentence}


def advise(report: Report, asked: Asked) -> Advice | None:
    """Return what a run says to a load; None when it has no workload that compares models."""
    workloads = [workload for workload in report.workloads if workload.comparable]
    if not workloads:
        return None
    workload = min(workloads, key=lambda each: _distance(each, asked))
    metric = workload.suited(CPU if asked.rate else THROUGHPUT)
    ranks = report.ranks.get((workload.name, metric.name), {})
    candidates = {cell.subject: _judged(cell, workload, asked) for cell in workload.ordered(metric)}
    fit = {name: ranks[name] for name in ranks if not candidates[name].against}
    trials = min((len(cell.trials) for cell in workload.cells if cell.subject in fit), default=0)
    named: tuple[str, ...] = ()
    unknown = list(_unknown(asked, workload))
    if fit and trials >= LEAST_TRIALS:
        reach = min(fit.values(), key=lambda rank: (rank.first, rank.last)).last
        named = tuple(name for name, rank in fit.items() if rank.first <= reach)
    elif fit:
        unknown.insert(0, f"too few trials to name a model: {trials} of {LEAST_TRIALS}")
    else:
        unknown.insert(0, "every ranked model surely misses something, or none is ranked")
    return Advice(
        asked, workload.scenario, workload.level, tuple(_off(workload.load, asked)),
        metric.title, named, tuple(candidates.values()), tuple(unknown),
    )  # fmt: skip


def _kind(load: Load) -> str:
    if load.session == 1:
        return "short"
    if load.bulk_bytes:
        return "big"
    return {"WAIT": "wait", "COMPUTE": "compute"}.get(load.kind, "small")


def _wanted(asked: Asked) -> str:
    return "compute" if asked.request == "small" and asked.cpu_us >= LONG_US else asked.request


def _distance(workload: Workload, asked: Asked) -> tuple[bool, float]:
    load = workload.load
    connections = load.connections + load.idle_connections
    off = abs(math.log(max(asked.connections, 1) / connections))
    # A load with pauses is nearer to one at a rate than to one that never rests.
    return _kind(load) != _wanted(asked), off + (bool(load.rate) != bool(asked.rate))


def _off(load: Load, asked: Asked) -> list[str]:
    """Return how far a load lies from what was asked, in sentences."""
    said = []
    if _kind(load) != _wanted(asked):
        said.append(
            f"the run has no workload of {_wanted(asked)} requests; {_kind(load)} stands in"
        )
    connections = load.connections + load.idle_connections
    times = asked.connections / connections
    if not 1 / NEAR <= times <= NEAR:
        said.append(
            f"{asked.connections:,} connections were asked for, {connections:,} measured:"
            f" {number(times)} times as many"
        )
    if asked.rate and not load.rate:
        said.append(
            f"at most {number(asked.rate)} requests/s were asked for; the workload never pauses"
        )
    if load.rate and not asked.rate:
        said.append(f"the workload is at {number(load.rate)} requests/s; no pause was asked for")
    elif load.rate and asked.rate and not 1 / NEAR <= asked.rate / load.rate <= NEAR:
        said.append(f"{number(asked.rate)} requests/s asked for, {number(load.rate)} measured")
    return said


def _judged(cell: Cell, workload: Workload, asked: Asked) -> Candidate:
    shown = [workload.suited(each) for each in (THROUGHPUT, P99, CPU, PSS_LOADED)]
    figures = {
        metric.title: f"{cell.write(metric)}{'' if metric.latency else f' {metric.unit}'}"
        for metric in shown
        if metric.name in cell.figures
    }
    against: list[str] = []
    untold: list[str] = []
    if not cell.ranked:
        against.append(next(iter(cell.notes), "not ranked"))
    for verdict in (_memory(cell, asked), _promise(cell, asked), *_work(cell, asked)):
        if verdict:
            (against if verdict.sure else untold).append(verdict.words)
    return Candidate(cell.subject, figures, tuple(against), tuple(untold))


class _Verdict(NamedTuple):
    sure: bool
    words: str


def _memory(cell: Cell, asked: Asked) -> _Verdict | None:
    spread = cell.figures.get(PSS_LOADED.name)
    if not asked.memory_mib:
        return None
    if spread is None:
        return _Verdict(False, "its memory was not measured")
    measured = cell.load.connections + cell.load.idle_connections
    if spread.low > asked.memory_mib and asked.connections >= measured:
        words = f"takes {number(spread.value)} MiB with {measured:,} connections"
        return _Verdict(True, words)
    if asked.connections > measured or spread.high > asked.memory_mib:
        words = f"{number(spread.value)} MiB were measured with {measured:,} connections"
        return _Verdict(False, f"{words}; with {asked.connections:,} nobody looked")
    return None


def _promise(cell: Cell, asked: Asked) -> _Verdict | None:
    spread = cell.figures.get(P99.name)
    if not asked.p99_ms:
        return None
    if spread is None:
        return _Verdict(False, "its p99 was not measured")
    if spread.high <= asked.p99_ms * 1e3 and not spread.at_least:
        return None
    # At a lower rate than was measured a p99 may well be shorter: that decides nothing.
    as_hard = not asked.rate or bool(cell.load.rate and asked.rate >= cell.load.rate)
    sure = as_hard and spread.low > asked.p99_ms * 1e3
    sure = sure and asked.connections >= cell.load.connections
    words = f"its p99 was {cell.write(P99)}"
    return _Verdict(sure, words if sure else f"{words}, and under your load it may be less")


def _work(cell: Cell, asked: Asked) -> list[_Verdict]:
    """Judge whether a rate can be served: by what the cell did, and by the cores that it takes."""
    found: list[_Verdict] = []
    if not asked.rate:
        return found
    done, cpu = cell.figures.get(THROUGHPUT.name), cell.figures.get(CPU.name)
    if done and done.low < asked.rate:
        capped = bool(cell.load.rate) or cell.verdict.limit != "server"
        words = f"did {cell.write(THROUGHPUT)} requests/s of the {number(asked.rate)} asked for"
        found.append(_Verdict(not capped and done.high < asked.rate, words))
    if cpu:
        own = asked.cpu_us if _kind(cell.load) != "compute" else 0.0
        need = asked.rate * (cpu.low + own) / 1e6
        if asked.cores and need > asked.cores:
            found.append(_Verdict(True, f"would need {number(need)} cores at that rate"))
        used = cell.figures.get(SERVER_CORES.name)
        if need > 1 and used and used.high < 1.05:
            found.append(
                _Verdict(False, f"needs {number(need)} cores; it was not seen to use more than one")
            )
    return found


def _unknown(asked: Asked, workload: Workload) -> list[str]:
    said = ["your network: the run was made over the loopback interface of one machine"]
    if asked.cpu_us and _kind(workload.load) != "compute":
        said.append(f"your {duration(asked.cpu_us)} of CPU a request: no such code was in the run")
    if asked.cores and asked.cores > (most := len(workload.asked.server_cpus)):
        said.append(f"what becomes of it on {asked.cores} cores: servers had {most} CPU(s)")
    if not asked.p99_ms:
        said.append("latency, of which no promise was asked for")
    return said
