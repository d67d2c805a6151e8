"""The history of runs: one line a run, trends, and where a figure seems to have changed. Pure.

A line keeps the medians and intervals of a run's cells, so that it can be committed where the run
itself is not. Figures are only compared within a *segment*: runs in a row on machines that do not
differ (`reports.machines`). A change point is the split of a segment whose two sides differ the
most, as a standardised difference of the means of logarithms, kept when fewer than 1 of 100 random
orders of the segment have one as large; then each side is split again (binary segmentation: Scott
and Knott 1974, Biometrics 30:507). It is advice: a run is one observation, and nobody confirmed it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reports.cells import workloads_of
from reports.machines import differences
from reports.metrics import CPU, P50, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Record, RecordError, Run, Sample
from reports.store import StoreError, append_whole, disk_errors

METRICS: dict[str, Metric] = {
    "throughput": THROUGHPUT,
    "p50": P50,
    "p99": P99,
    "cpu": CPU,
    "pss": PSS_LOADED,
}
LEAST_SIDE = 4
"""Runs on either side of a change point: with fewer a single odd run makes one."""
ALPHA = 0.01
ORDERS = 999
SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """One run in the history."""

    run: str
    started: str  # UTC, ISO 8601
    commit: str
    profile: str
    machine: dict[str, Any]  # the fingerprint, see bench.machine
    cells: list[dict[str, Any]]  # scenario, level, model, trials; by metric [median, low, high]


class Point(NamedTuple):
    """A figure of one run."""

    number: int  # of the run in the history, from 0
    entry: Entry
    value: float
    low: float
    high: float


class Change(NamedTuple):
    """Where a figure seems to have changed: from this point on."""

    point: Point
    share: float  # by which the mean moved: 0.1 is 10% more
    p: float


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure of one model under one load, over all runs that have it."""

    metric: str
    scenario: str
    level: str
    model: str
    segments: list[list[Point]]  # runs in a row on one machine

    @property
    def points(self) -> list[Point]:
        """All points, oldest first."""
        return [point for segment in self.segments for point in segment]

    def changes(self) -> list[Change]:
        """Return the change points of all segments."""
        return [change for segment in self.segments for change in change_points(segment)]

    def moved(self) -> float | None:
        """Return the last figure against the median of its segment before it, as a share."""
        *before, last = self.segments[-1]
        if not before:
            return None
        return last.value / float(np.median([point.value for point in before])) - 1


def entry_of(run: Run, samples: Sequence[Sample]) -> Entry:
    """Return the line of a run: every cell with a good trial."""
    cells = []
    for workload in workloads_of(run, samples):
        for cell in workload.cells:
            figures = {
                name: [found.value, found.low, found.high]
                for name, metric in METRICS.items()
                if (found := cell.figures.get(metric.name)) and not found.at_least
            }
            if figures:
                named = {"scenario": cell.scenario, "level": cell.level, "model": cell.model}
                cells.append({**named, "trials": len(cell.trials), **figures})
    return Entry(
        run=run.id,
        started=run.started,
        commit=str(run.machine.get("commit", "")),
        profile=run.profile,
        machine=run.machine,
        cells=cells,
    )


def read(path: Path) -> list[Entry]:
    """Return the history, oldest run first; StoreError when there is none or it is unreadable."""
    with disk_errors(f"read {path}"):
        lines = path.read_text(encoding="utf-8").splitlines()
    try:
        entries = [Entry.from_json(json.loads(line)) for line in lines]
    except (ValueError, RecordError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    return sorted(entries, key=lambda entry: entry.started)


def append(path: Path, entry: Entry) -> None:
    """Add a run; StoreError when the history has it."""
    if path.exists() and any(kept.run == entry.run for kept in read(path)):
        raise StoreError(f"{path} has the run {entry.run} already")
    line = json.dumps(entry.to_json(), allow_nan=False, separators=(",", ":")) + "\n"
    with disk_errors(f"add to {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        append_whole(path, line.encode())


def trends(
    entries: Sequence[Entry],
    metrics: Iterable[str],
    models: Sequence[str] = (),
    scenarios: Sequence[str] = (),
) -> list[Trend]:
    """Return the trends of the named metrics; of all models and scenarios when none is named."""
    machines = _machines(entries)
    found: dict[tuple[str, str, str, str], list[Point]] = {}
    for number, entry in enumerate(entries):
        for cell in entry.cells:
            if models and cell["model"] not in models:
                continue
            if scenarios and cell["scenario"] not in scenarios:
                continue
            for metric in metrics:
                if metric in cell:
                    key = (metric, cell["scenario"], cell["level"], cell["model"])
                    found.setdefault(key, []).append(Point(number, entry, *cell[metric]))
    return [Trend(*key, _segments(points, machines)) for key, points in found.items()]


def _machines(entries: Sequence[Entry]) -> list[int]:
    """Return for every run the number of times that the machine had changed."""
    numbers = [0] * len(entries)
    for at in range(1, len(entries)):
        changed = bool(differences(entries[at - 1].machine, entries[at].machine))
        numbers[at] = numbers[at - 1] + changed
    return numbers


def _segments(points: Sequence[Point], machines: Sequence[int]) -> list[list[Point]]:
    segments: dict[int, list[Point]] = {}
    for point in points:
        segments.setdefault(machines[point.number], []).append(point)
    return list(segments.values())


def change_points(segment: Sequence[Point]) -> list[Change]:
    """Return where a segment's figure changed, oldest first."""
    logs = np.log([point.value for point in segment])
    rng = np.random.default_rng(SEED)
    return [
        Change(segment[at], math.expm1(moved), p) for at, moved, p in sorted(_split(logs, 0, rng))
    ]


def _split(
    logs: npt.NDArray[np.float64], offset: int, rng: np.random.Generator
) -> list[tuple[int, float, float]]:
    if len(logs) < 2 * LEAST_SIDE:
        return []
    at, size = _largest(logs)
    orders = [_largest(rng.permutation(logs))[1] for _ in range(ORDERS)] if size else []
    p = (1 + sum(other >= size for other in orders)) / (1 + len(orders))
    if p >= ALPHA:
        return []
    moved = float(logs[at:].mean() - logs[:at].mean())
    return [
        *_split(logs[:at], offset, rng),
        (offset + at, moved, p),
        *_split(logs[at:], offset + at, rng),
    ]


def _largest(logs: npt.NDArray[np.float64]) -> tuple[int, float]:
    """Return the split whose sides differ most, and by how many standard errors."""
    count = len(logs)
    at = np.arange(LEAST_SIDE, count - LEAST_SIDE + 1)
    sums, squares = np.cumsum(logs)[at - 1], np.cumsum(logs**2)
    left, right = sums / at, (logs.sum() - sums) / (count - at)
    within = squares[-1] - at * left**2 - (count - at) * right**2
    error = np.sqrt(np.maximum(within, 1e-18) / (count - 2) * (1 / at + 1 / (count - at)))
    sizes = np.abs(left - right) / error
    best = int(np.argmax(sizes))
    return int(at[best]), float(sizes[best])
