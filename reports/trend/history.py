"""The history of runs: one line a run, trends, and where a figure seems to have changed. Pure.

A line keeps the medians and intervals of a run's cells, so that it can be committed where the run
itself is not. Figures are only compared within a *segment*: runs in a row on machines that do not
differ (`reports.machines`). A change point is the split of a segment whose two sides differ the
most, as a standardised difference of the means of logarithms, kept when fewer than 1 of 100 random
orders of the segment have one as large; then each side is split again (binary segmentation: Scott
and Knott 1974, Biometrics 30:507). It is advice: a run is one observation, and nobody confirmed it.
"""

from __future__ import annotations

__all__ = ["TREND_METRICS", "Change", "Entry", "Trend", "append", "entry_of", "read", "trends"]

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from reports.cells.gathering import workloads_of
from reports.files import locked, read_regular, replace_whole
from reports.key import CellKey
from reports.machines import differences
from reports.metrics import CPU, P50, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Record, RecordError, Run, Sample
from reports.schema import Values
from reports.store import MOST_LINE_BYTES, MOST_RUN_BYTES, StoreError, disk_errors
from reports.untrusted import NotJsonError, number, read_json

TREND_METRICS: dict[str, Metric] = {
    "throughput": THROUGHPUT,
    "p50": P50,
    "p99": P99,
    "cpu": CPU,
    "pss": PSS_LOADED,
}
LEAST_SIDE, LEAST_RUNS = 4, 10
"""Runs on either side of a change point, with fewer a single odd run makes one; and in all, with
fewer even the clearest step is as likely as ALPHA by chance: 2 of the 126 splits of nine."""
MOST_FIGURE = 1e15
"""In any unit; what is beyond is no figure of a machine, and neither axes nor squares hold it."""
ALPHA = 0.01
ORDERS = 999
SEED = 11
SAME = 1e-9
"""Less than this is rounding: of a scatter, and of sizes that are equal."""


class Kept(NamedTuple):
    """A figure of a cell: its median and the interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCell:
    """What the history keeps of a cell."""

    cell: CellKey
    trials: int
    figures: dict[str, Kept]  # by TREND_METRICS
    # What the server said it runs under; a name like 3.13 stands for many. Empty: it did not say.
    runs_under: str = ""


_CELL_OF_SCHEMA_1 = ("scenario", "level", "model")


def _entry_of_schema_1(old: Values) -> Values:
    """Give the cells of an entry of schema 1 a key, and their figures names."""
    return {
        **old,
        "cells": [
            {
                "cell": {name: cell[name] for name in _CELL_OF_SCHEMA_1},
                "trials": cell["trials"],
                "figures": {
                    name: dict(zip(Kept._fields, figure, strict=True))
                    for name, figure in cell.items()
                    if name not in {*_CELL_OF_SCHEMA_1, "trials"}
                },
            }
            for cell in old["cells"]
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """One run in the history.

    Schema history
        1  (2026-11)  the first; a cell is an object with a field for each figure.
        2  (2026-11)  a cell has a `CellKey`, with the interpreter, and its figures apart.
    """

    SCHEMA: ClassVar[int] = 2
    READERS: ClassVar[Mapping[int, Callable[[Values], Values]]] = {1: _entry_of_schema_1}

    run: str
    started: str  # UTC, ISO 8601
    commit: str
    profile: str
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    cells: list[KeptCell]


class Point(NamedTuple):
    """A figure of one run."""

    number: int  # of the run in the history, from 0
    entry: Entry
    value: float
    low: float
    high: float
    runs_under: str = ""  # the interpreter, as it said

    def to_json(self) -> Values:
        """Return the point as JSON-ready values, its run in brief."""
        of_run = {"run": self.entry.run, "started": self.entry.started, "commit": self.entry.commit}
        return {**of_run, "value": self.value, "low": self.low, "high": self.high}


class Change(NamedTuple):
    """Where a figure seems to have changed: from this point on."""

    point: Point
    share: float  # by which the mean moved: 0.1 is 10% more
    p: float

    def to_json(self) -> Values:
        """Return the change as JSON-ready values."""
        entry = self.point.entry
        return {"run": entry.run, "commit": entry.commit, "share": self.share, "p": self.p}


@dataclass(frozen=True, slots=True)
class Trend:
    """One figure of one model under one load, over all runs that have it."""

    metric: str
    cell: CellKey
    segments: list[list[Point]]  # runs in a row on one machine and under one interpreter

    @property
    def scenario(self) -> str:
        """The name of the load."""
        return self.cell.scenario

    @property
    def level(self) -> str:
        """The load in words."""
        return self.cell.level

    @property
    def model(self) -> str:
        """What was measured: the model, and its interpreter where it had one of its own."""
        return self.cell.subject

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
        usual = float(np.median([point.value for point in before])) if before else 0.0
        return last.value / usual - 1 if usual else None

    def to_json(self) -> Values:
        """Return the trend as JSON-ready values: its points by machine, and its change points."""
        return {
            "metric": self.metric,
            "scenario": self.scenario,
            "level": self.level,
            "model": self.model,
            "segments": [[point.to_json() for point in segment] for segment in self.segments],
            "change_points": [change.to_json() for change in self.changes()],
        }


def entry_of(run: Run, samples: Sequence[Sample]) -> Entry:
    """Return the line of a run: every cell with a good trial."""
    cells = []
    for workload in workloads_of(run, samples):
        for cell in workload.cells:
            figures = {
                name: Kept(found.value, found.low, found.high)
                for name, metric in TREND_METRICS.items()
                if (found := cell.figures.get(metric.name)) and not found.at_least
            }
            if figures:
                kept = KeptCell(
                    cell=cell.key,
                    trials=len(cell.trials),
                    figures=figures,
                    runs_under=cell.runs_under,
                )
                cells.append(kept)
    return Entry(
        run=run.id,
        started=run.started,
        commit=str(run.machine.get("commit", "")),
        profile=run.profile,
        machine=run.machine,
        cells=cells,
    )


def read(path: Path) -> tuple[list[Entry], list[str]]:
    """Return the history, oldest run first, and what had to be left out, in sentences."""
    with disk_errors(f"read {path}"):
        whole, torn = _whole_lines(path)
    entries = _entries(path, whole)
    if not entries:
        raise StoreError(f"there is no history in {path} yet; `threadmill history add` begins one")
    return entries, [f"{path} ends in half a line; that run is left out"] if torn else []


def append(path: Path, entry: Entry) -> None:
    """Add a run; StoreError when the history has it. Half a line at the end makes room for it."""
    line = json.dumps(entry.to_json(), allow_nan=False, separators=(",", ":")) + "\n"
    with disk_errors(f"add to {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent):
            whole, _torn = _whole_lines(path)
            if any(kept.run == entry.run for kept in _entries(path, whole)):
                raise StoreError(f"{path} has the run {entry.run} already")
            replace_whole(path, whole + line.encode())


def _whole_lines(path: Path) -> tuple[bytes, bytes]:
    """Return the whole lines of a file, if there is one, and what a crash left of one more.

    A history is committed, and so may have been through an editor that drops the last newline.
    """
    if not path.exists():
        return b"", b""
    whole, newline, last = read_regular(path, most_bytes=MOST_RUN_BYTES).rpartition(b"\n")
    try:
        read_json(last)
    except NotJsonError:
        return whole + newline, last
    return whole + newline + last + b"\n", b""


def _entries(path: Path, lines: bytes) -> list[Entry]:
    entries = []
    for place, line in enumerate(lines.splitlines(), 1):
        try:
            entries.append(_entry(read_json(line, most_bytes=MOST_LINE_BYTES)))
        except ValueError as error:
            raise StoreError(f"{path}, line {place} cannot be read: {error}") from error
    return sorted(entries, key=lambda entry: entry.started)


def _entry(values: object) -> Entry:
    if not isinstance(values, dict) or values.get("type") != "entry":
        raise RecordError("it is not a record of type 'entry'")
    entry = Entry.from_json(values)
    for kept in entry.cells:
        for name, figures in kept.figures.items():
            for figure in figures:
                number(name, figure, least=0, most=MOST_FIGURE)
    return entry


def trends(
    entries: Sequence[Entry],
    metrics: Sequence[str],
    models: Sequence[str] = (),
    scenarios: Sequence[str] = (),
) -> list[Trend]:
    """Return the trends of the named metrics; of all models and scenarios when none is named."""
    machines = _machines(entries)
    found: dict[tuple[str, CellKey], list[Point]] = {}
    for run, entry in enumerate(entries):
        for kept in entry.cells:
            if models and kept.cell.model not in models:
                continue
            if scenarios and kept.cell.scenario not in scenarios:
                continue
            for metric in metrics:
                if metric in kept.figures:
                    points = found.setdefault((metric, kept.cell), [])
                    points.append(Point(run, entry, *kept.figures[metric], kept.runs_under))
    return [Trend(*key, _segments(points, machines)) for key, points in found.items()]


def _machines(entries: Sequence[Entry]) -> list[int]:
    """Return for every run the number of times that the machine had changed."""
    numbers = [0] * len(entries)
    for at in range(1, len(entries)):
        changed = bool(differences(entries[at - 1].machine, entries[at].machine))
        numbers[at] = numbers[at - 1] + changed
    return numbers


def _segments(points: Sequence[Point], machines: Sequence[int]) -> list[list[Point]]:
    """Cut points where the machine changed, or what an interpreter's name stands for."""
    groups = groupby(points, key=lambda point: (machines[point.number], point.runs_under))
    return [list(segment) for _, segment in groups]


def change_points(segment: Sequence[Point]) -> list[Change]:
    """Return where a segment's figure changed, oldest first; zeros have no logarithm."""
    known = [point for point in segment if point.value > 0]
    logs = np.log([point.value for point in known])
    rng = np.random.default_rng(SEED)
    return [Change(known[at], math.expm1(moved), p) for at, moved, p in _split(logs, 0, rng)]


def _split(
    logs: npt.NDArray[np.float64], offset: int, rng: np.random.Generator
) -> list[tuple[int, float, float]]:
    """Return the place, the difference of the means and the p of each change, in order."""
    if len(logs) < LEAST_RUNS:
        return []
    places, sizes = _largest(logs[np.newaxis])
    at = int(places[0])
    _, others = _largest(rng.permuted(np.tile(logs, (ORDERS, 1)), axis=1))
    p = (1 + int((others >= sizes[0] * (1 - SAME)).sum())) / (1 + ORDERS)
    if p >= ALPHA:
        return []
    moved = float(logs[at:].mean() - logs[:at].mean())
    return [
        *_split(logs[:at], offset, rng),
        (offset + at, moved, p),
        *_split(logs[at:], offset + at, rng),
    ]


def _largest(
    orders: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return for each row the split whose sides differ most, and by how many standard errors."""
    count = orders.shape[1]
    # Of deviations, whose squares lose no digits to the size of the figure.
    rows = orders - orders.mean(axis=1, keepdims=True)
    at = np.arange(LEAST_SIDE, count - LEAST_SIDE + 1)
    sums = np.cumsum(rows, axis=1)[:, at - 1]
    between = sums**2 * (1 / at + 1 / (count - at))
    # Sides without any scatter differ by as much as can be written, not by infinity.
    within = np.maximum((rows**2).sum(axis=1, keepdims=True) - between, SAME**2)
    sizes = np.sqrt(between * (count - 2) / within)
    best = sizes.argmax(axis=1)
    return at[best], sizes.max(axis=1)
