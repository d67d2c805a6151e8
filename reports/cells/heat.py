"""The heat table: every model under every workload, by one figure, relative to the best. Pure.

Models stand by family, in the order of the run, the same in every column. Those that no other
surely beats are shaded alike, because a run that does not tell them apart must not look as if it
did; a cell that is not ranked has no shade, and says why.
"""

from __future__ import annotations

__all__ = ["HEAT_METRICS", "Heat", "HeatCell", "HeatRow", "heat_of"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.cells.families import OTHER, families_of
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.units import MISSING, number, percent

HEAT_METRICS: Mapping[str, Metric] = {
    "throughput": THROUGHPUT,
    "p99": P99,
    "CPU": CPU,
    "memory": PSS_LOADED,
}
"""By which figures a reader may look at the table, in the words of its switch."""
SHADES = (1.0, 1.15, 1.5, 2.0, 3.0, 5.0)
"""Up to how many times worse than the best a shade reaches; what is worse has the last one."""


class HeatCell(NamedTuple):
    """One model under one workload."""

    relative: str  # to the best: 83% of a throughput, 1.40 times a cost
    figure: str  # with its unit where that is part of it
    shade: int  # 0: nobody surely does better; then the worse, the higher; -1: not ranked
    reason: str  # why it is not ranked; empty: it is


class HeatRow(NamedTuple):
    """One model under all workloads."""

    subject: str
    model: str
    cells: tuple[HeatCell | None, ...]  # None: it was not measured under that workload


class Heat(NamedTuple):
    """The table by one figure."""

    name: str  # as the switch calls the figure
    workloads: tuple[Workload, ...]
    families: Mapping[str, Sequence[HeatRow]]


def heat_of(report: Report, name: str) -> Heat:
    """Return the table by one of HEAT_METRICS, of the workloads that compare models by it."""
    workloads = tuple(
        workload
        for workload in report.workloads
        if workload.comparable
        and (workload.name, workload.suited(HEAT_METRICS[name]).name) in report.ranks
    )
    columns = [_column(report, workload, HEAT_METRICS[name]) for workload in workloads]
    families = families_of(report.run)
    subjects = {cell.subject: cell.model for workload in workloads for cell in workload.cells}
    rows: dict[str, list[HeatRow]] = {}
    for subject, model in subjects.items():
        cells = tuple(column.get(subject) for column in columns)
        rows.setdefault(families.get(model, OTHER), []).append(HeatRow(subject, model, cells))
    return Heat(name, workloads, rows)


def _column(report: Report, workload: Workload, asked: Metric) -> dict[str, HeatCell]:
    metric = workload.suited(asked)
    ranks = report.ranks[workload.name, metric.name]
    best = next((cell for cell in workload.ordered(metric) if cell.subject in ranks), None)
    return {
        cell.subject: _cell(cell, metric, best, ranks[cell.subject].first == 1)
        if best and cell.subject in ranks
        else HeatCell(MISSING, cell.write(metric), -1, cell.unranked_because(metric))
        for cell in workload.cells
    }


def _cell(cell: Cell, metric: Metric, best: Cell, first: bool) -> HeatCell:
    value, least = (each.figures[metric.name].value for each in (cell, best))
    if not (value > 0 and least > 0):
        return HeatCell(MISSING, cell.write(metric), -1, "the figure is 0")
    worse = least / value if metric.more_is_better else value / least
    relative = (
        percent(value / least)
        if metric.more_is_better
        else f"{number(worse)} \N{MULTIPLICATION SIGN}"
    )
    shade = 0 if first else next((n for n, most in enumerate(SHADES) if worse <= most), len(SHADES))
    # Who is surely beaten never looks like the best, however little the difference is.
    return HeatCell(relative, cell.write(metric), max(shade, 0 if first else 1), "")
