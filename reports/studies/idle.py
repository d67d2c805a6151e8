"""The idle ladder: what a connection that keeps quiet costs, and where a model had to stop."""

from __future__ import annotations

__all__ = ["NAME", "section"]

from reports.cells.ladders import IDLE, Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import OPENED, P99, PSS_PER_CONNECTION
from reports.studies.section import Row, Section, Table, ladders_named, subjects_of
from reports.units import MISSING

NAME = "idle-ladder"


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladder = next(iter(ladders_named(report, NAME, IDLE)), None)
    if ladder is None:
        return None
    models = subjects_of(ladder.workloads)
    highest = {subject: held(ladder, subject) for subject in models}
    order = sorted(models, key=lambda subject: _place(highest[subject]))
    rows = [
        Row(subject, models[subject], (*_figures(highest[subject]), _stop(ladder, subject)))
        for subject in order
    ]
    headings = (
        "Model",
        "most idle connections",
        "PSS of each, KiB",
        "p99 of the busy",
        "opened after, s",
        "why not more",
    )
    return Section(
        name=NAME,
        title="The idle ladder",
        asks="What does an idle connection cost, and how many can be had?",
        finding=_finding(ladder, [cell for each in order if (cell := highest[each])]),
        tables=(Table("At the highest rung that was held", headings, tuple(rows)),),
    )


def held(ladder: Ladder, subject: str) -> Cell | None:
    """Return the cell of the most idle connections that a model held and served."""
    cells = [
        cell
        for cell in ladder.points(subject)
        if cell.ranked and PSS_PER_CONNECTION.name in cell.figures
    ]
    return cells[-1] if cells else None


def _each(cell: Cell) -> float:
    return cell.figures[PSS_PER_CONNECTION.name].value


def _place(cell: Cell | None) -> tuple[float, float]:
    return (-cell.load.idle_connections, _each(cell)) if cell else (1, 0)


def _figures(cell: Cell | None) -> tuple[str, ...]:
    if cell is None:
        return ("none", MISSING, MISSING, MISSING)
    written = (cell.write(metric) for metric in (PSS_PER_CONNECTION, P99, OPENED))
    return (f"{cell.load.idle_connections:,}", *written)


def _stop(ladder: Ladder, subject: str) -> str:
    """Return why a model did not go on, as the first rung that it did not hold says."""
    for cell in ladder.points(subject):
        if cell.stopped or cell.failures:
            return cell.stopped or cell.failures[0].partition("\n")[0]
    return ""


def _finding(ladder: Ladder, cells: list[Cell]) -> str:
    asked = ladder.workloads[-1].load.idle_connections
    if not cells:
        return "No model held any rung of the ladder."
    best = cells[0]
    words = (
        f"Of {asked:,} idle connections {best.subject} holds {best.load.idle_connections:,} at"
        f" {best.write(PSS_PER_CONNECTION)} KiB each, with a p99 of {best.write(P99)} for the busy"
        " ones"
    )
    dearest = max(cells, key=_each)
    if dearest is not best:
        words += (
            f"; the dearest is {dearest.subject} with {dearest.write(PSS_PER_CONNECTION)} KiB each"
            f" at {dearest.load.idle_connections:,}"
        )
    return f"{words}."
