"""What a study has to say: a section of the report, whatever it is rendered as. Pure."""

from __future__ import annotations

__all__ = [
    "Row",
    "Section",
    "Table",
    "cell_at",
    "ladders_named",
    "listed",
    "named",
    "subjects_of",
]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.cells.ladders import Axis, Ladder, along
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload


class Row(NamedTuple):
    """A line of a table; a model's has its colour."""

    name: str  # what was measured, in words
    model: str  # empty: it is no model's
    figures: tuple[str, ...]


class Table(NamedTuple):
    """Figures that the finding is drawn from."""

    caption: str
    headings: tuple[str, ...]  # of the names, and of the figures
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a run says to the question of a study."""

    name: str  # of the study
    title: str
    asks: str
    finding: str  # one sentence
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def named(report: Report, scenario: str) -> list[Workload]:
    """Return the workloads of a scenario."""
    return [workload for workload in report.workloads if workload.scenario == scenario]


def ladders_named(report: Report, scenario: str, axis: Axis) -> list[Ladder]:
    """Return what a scenario has along an axis."""
    return along(axis, named(report, scenario))


def cell_at(workload: Workload, subject: str) -> Cell | None:
    """Return the cell of a subject; None when it has none, or none with a window."""
    found = (cell for cell in workload.cells if cell.subject == subject and cell.trials)
    return next(found, None)


def listed(words: Iterable[str]) -> str:
    """Return words as a sentence has them: a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def subjects_of(workloads: Sequence[Workload]) -> dict[str, str]:
    """Return the model of every subject that any of the workloads has, in the run's order."""
    return {cell.subject: cell.model for workload in workloads for cell in workload.cells}
