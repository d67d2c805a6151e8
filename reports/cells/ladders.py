"""Workloads that differ in one thing only, brought in order: what a chart can be drawn against.

Pure. An axis is a field of the load; what is shown against it, and the words of the level that
name it, stand in its row.
"""

from __future__ import annotations

__all__ = [
    "CONNECTIONS",
    "IDLE",
    "RATES",
    "Axis",
    "Ladder",
    "Panel",
    "along",
    "knee_of",
    "ladders_of",
]

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from reports.cells.workload import Cell, Workload
from reports.metrics import (
    CONNECT_MAX,
    CONNECT_P50,
    CPU,
    P99,
    PROCESSES,
    PSS_LOADED,
    PSS_PER_CONNECTION,
    REFUSED,
    RETRIES,
    SERVICE_P99,
    THREADS,
    THROUGHPUT,
    Metric,
)
from reports.record import Sample

KNEE_TIMES = 10.0
KNEE_KEPT = 0.98


class Panel(NamedTuple):
    """One figure against the axis."""

    title: str
    metric: Metric
    log: bool = False


class Axis(NamedTuple):
    """What the workloads of a ladder differ in."""

    field: str  # of the load, or the backlog
    title: str
    words: str  # under the axis
    named_by: str  # a pattern for the part of a level's words that names it
    panels: tuple[Panel, ...]
    rungs: int = 2  # from so many on it is drawn
    alone: bool = True  # whether the chart takes the place of those of the single workloads


CONNECTIONS, IDLE, BACKLOG, RATES = AXES = (
    Axis(
        "connections",
        "number of connections",
        "connections",
        r"connections?$",
        (
            Panel("Throughput, requests/s", THROUGHPUT),
            Panel("Latency p99, log axis", P99),
            Panel("CPU per request, us", CPU),
            Panel("Memory under load (PSS), MiB", PSS_LOADED),
        ),
        alone=False,
    ),
    Axis(
        "idle_connections",
        "number of idle connections",
        "idle connections",
        r" idle$",
        (
            Panel("PSS per connection, KiB, log axis", PSS_PER_CONNECTION, log=True),
            Panel("Latency p99 of the busy connections, log axis", P99),
            Panel("Threads, log axis", THREADS, log=True),
            Panel("Processes, log axis", PROCESSES, log=True),
        ),
    ),
    Axis(
        "backlog",
        "backlog",
        "backlog",
        r"^backlog ",
        (
            Panel("Connect time p50, log axis", CONNECT_P50),
            Panel("Connect time, the longest, log axis", CONNECT_MAX),
            Panel("Connects refused or timed out", REFUSED),
            Panel("SYNs that had to be sent again", RETRIES),
        ),
    ),
    Axis(
        "rate",
        "rate",
        "rate, requests/s",
        r"(capacity|/s)$",
        (
            Panel("Response time p99, from the due time; ring: knee", P99),
            Panel("Service time p99, from the send", SERVICE_P99),
            Panel("Throughput, requests/s", THROUGHPUT),
            Panel("CPU per request, us", CPU),
        ),
        rungs=3,
    ),
)


class Ladder(NamedTuple):
    """Workloads that differ in nothing but one field of the load, the least first."""

    scenario: str
    load: str  # what they have in common, in words
    axis: Axis
    workloads: tuple[Workload, ...]

    def points(self, model: str) -> list[Cell]:
        """Return the cells of a model, the least demanding first."""
        cells = [cell for rung in self.workloads for cell in rung.cells if cell.subject == model]
        return sorted(cells, key=self.at)

    def at(self, cell: Cell) -> float:
        """Return where on the axis a cell stands; a curve has a rate for each model."""
        return _at(cell.asked, self.axis)

    @property
    def models(self) -> list[str]:
        """Every model that any of the workloads has, in the run's order."""
        return list(dict.fromkeys(cell.subject for rung in self.workloads for cell in rung.cells))


def ladders_of(workloads: Sequence[Workload]) -> list[Ladder]:
    """Return what can be drawn against an axis: enough levels of it, all else the same."""
    return [ladder for axis in AXES for ladder in along(axis, workloads)]


def along(axis: Axis, workloads: Sequence[Workload]) -> list[Ladder]:
    """Return the workloads that differ in the field of one axis only."""
    found = []
    families: dict[tuple[str, str, tuple[object, ...]], list[Workload]] = {}
    for workload in workloads:
        same = _all_else(workload.asked, axis)
        parts = workload.level.split(", ")
        rest = ", ".join(part for part in parts if not re.search(axis.named_by, part))
        families.setdefault((workload.scenario, rest, same), []).append(workload)
    for (scenario, rest, _), rungs in families.items():
        if len({_at(rung.asked, axis) for rung in rungs}) >= axis.rungs:
            rungs.sort(key=lambda rung: _at(rung.asked, axis))  # used at once
            found.append(Ladder(scenario, rest, axis, tuple(rungs)))
    return found


def _at(asked: Sample, axis: Axis) -> float:
    return float(_what_was_asked(asked)[axis.field])


def _all_else(asked: Sample, axis: Axis) -> tuple[object, ...]:
    """Return what rungs must have in common: the whole load but for the axis and the seed.

    How many processes hold the idle connections, and how many each opens at a time, is the engine's
    affair: the more there are the more hold them.
    """
    aside = {axis.field, "seed", "engine_processes", "connect_at_once"}
    return tuple(value for name, value in _what_was_asked(asked).items() if name not in aside)


def _what_was_asked(asked: Sample) -> dict[str, Any]:
    """Return every field of the load, and what the server itself was told.

    But for its workers, in which models differ; and of its CPUs, how many it really had.
    """
    server = dataclasses.asdict(asked.serving) | {"cpus": len(asked.server_cpus)}
    del server["workers"]
    return dataclasses.asdict(asked.load) | server


def knee_of(cells: Sequence[Cell]) -> Cell | None:
    """Return the last cell before response times bend, of cells by ascending rate.

    It is the highest rate up to which the p99 of the response time stays below ten times that at
    the lowest rate, and throughput within 2% of the rate. None when the lowest is too much already.
    """
    knee = None
    for cell in cells:
        p99, throughput = (cell.figures.get(metric.name) for metric in (P99, THROUGHPUT))
        lowest = cells[0].figures.get(P99.name)
        if not (p99 and throughput and lowest):
            break
        kept = throughput.value >= KNEE_KEPT * cell.load.rate
        if not kept or p99.at_least or p99.value >= KNEE_TIMES * lowest.value:
            break
        knee = cell
    return knee
