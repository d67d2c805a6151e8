"""Memory by payload: what a server holds on to for big requests, and for many connections."""

from __future__ import annotations

__all__ = ["NAME", "Grid", "grid_of", "section"]

from typing import NamedTuple

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import MIB, PSS_LOADED
from reports.studies.section import Row, Section, Table, cell_at, named, subjects_of
from reports.units import MISSING, number

NAME = "memory"
KIB_PER_MIB = 1024


class Grid(NamedTuple):
    """The workloads of the study, by connections and then by payload, the least first."""

    workloads: tuple[Workload, ...]

    def words(self, workload: Workload) -> str:
        """Return a workload as the heading of a column."""
        size = workload.load.size_bytes
        of = f"{size // MIB} MiB" if size >= MIB else f"{size // 1024} KiB"
        return f"{workload.load.connections} x {of}"

    def ends(self) -> tuple[Workload, Workload] | None:
        """Return the least and the greatest payload over the most connections."""
        most = max(each.load.connections for each in self.workloads)
        over = [each for each in self.workloads if each.load.connections == most]
        return (over[0], over[-1]) if len(over) > 1 else None

    def growth(self, subject: str) -> float | None:
        """Return the KiB that the greatest payload adds to each of the most connections."""
        ends = self.ends()
        cells = [cell_at(end, subject) for end in ends] if ends else []
        if not all(cell and cell.ranked and PSS_LOADED.name in cell.figures for cell in cells):
            return None
        values = [cell.figures[PSS_LOADED.name].value for cell in cells if cell]
        if not ends or len(values) < 2:
            return None
        return (values[1] - values[0]) * KIB_PER_MIB / ends[0].load.connections


def grid_of(report: Report) -> Grid | None:
    """Return the workloads of the study; None when the run has none."""
    found = named(report, NAME)
    return (
        Grid(tuple(sorted(found, key=lambda w: (w.load.connections, w.load.size_bytes))))
        if found
        else None
    )


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    grid = grid_of(report)
    if grid is None:
        return None
    models = subjects_of(grid.workloads)
    growth = {subject: grid.growth(subject) for subject in models}
    rows = [
        Row(
            subject,
            model,
            (
                *(_write(cell_at(each, subject)) for each in grid.workloads),
                MISSING if (added := growth[subject]) is None else number(added),
            ),
        )
        for subject, model in models.items()
    ]
    return Section(
        name=NAME,
        title="Memory by payload",
        asks="Where does memory grow with the payload?",
        finding=_finding(grid, {name: each for name, each in growth.items() if each is not None}),
        tables=(
            Table(
                "PSS under load, MiB; * not ranked: connections unserved, or errors",
                (
                    "Model",
                    *map(grid.words, grid.workloads),
                    "the payload adds to a connection, KiB",
                ),
                tuple(rows),
            ),
        ),
    )


def _write(cell: Cell | None) -> str:
    return cell.write(PSS_LOADED) + "*" * (not cell.ranked) if cell else MISSING


def _finding(grid: Grid, growth: dict[str, float]) -> str:
    ends = grid.ends()
    if not growth or not ends:
        return "No model was measured with two payloads over the same connections."
    small, big = (grid.words(end) for end in ends)
    least, most = min(growth, key=growth.__getitem__), max(growth, key=growth.__getitem__)
    words = f"From {small} to {big} a connection of {least} grows by {number(growth[least])} KiB"
    if most != least:
        words += f", one of {most} by {number(growth[most])} KiB"
    cell = cell_at(ends[1], most)
    assert cell is not None  # noqa: S101  # it has a growth
    return f"{words}, to {cell.write(PSS_LOADED)} MiB in all."
