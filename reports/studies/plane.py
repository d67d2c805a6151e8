"""The plane of throughput and latency: what response time goes with which rate."""

from __future__ import annotations

__all__ = [
    "NAME",
    "PROMISE_US",
    "achieved",
    "ladders_of_rates",
    "section",
]

from reports.cells.ladders import RATES, Ladder, knee_of
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import CPU, P99, THROUGHPUT
from reports.studies.section import Row, Section, Table, ladders_named, listed, subjects_of
from reports.units import MISSING, duration

NAME = "curve"
PROMISE_US = 2_000.0
"""A p99 that a service might promise; any other would do as well."""


def ladders_of_rates(report: Report) -> list[Ladder]:
    """Return the workloads of the study, by rate."""
    return ladders_named(report, NAME, RATES)


def achieved(cell: Cell) -> float:
    """Return the requests per second that were answered, whatever was due."""
    return cell.figures[THROUGHPUT.name].value


def best_within(cells: list[Cell], promise_us: float) -> Cell | None:
    """Return the cell of the highest achieved rate whose p99 is below `promise_us`."""
    within = [
        cell
        for cell in cells
        if (p99 := cell.figures.get(P99.name)) and not p99.at_least and p99.value < promise_us
    ]
    return max(within, key=achieved, default=None)


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladder = next(iter(ladders_of_rates(report)), None)
    if ladder is None:
        return None
    models = subjects_of(ladder.workloads)
    points = {
        subject: [cell for cell in ladder.points(subject) if THROUGHPUT.name in cell.figures]
        for subject in models
    }
    best = {subject: best_within(cells, PROMISE_US) for subject, cells in points.items()}
    order = sorted(models, key=lambda subject: -(achieved(cell) if (cell := best[subject]) else 0))
    rows = tuple(
        Row(subject, models[subject], _figures(points[subject], best[subject])) for subject in order
    )
    promise = duration(PROMISE_US)
    headings = (
        "Model",
        f"most requests/s with p99 below {promise}",
        "its p99",
        "its CPU per request, us",
        "most requests/s at all",
        "at the knee",
    )
    return Section(
        name=NAME,
        title="The plane of throughput and latency",
        asks="What response time goes with which rate?",
        finding=_finding([(subject, best[subject]) for subject in order]),
        tables=(Table("Open loops at 10% to 120% of each model\u2019s capacity", headings, rows),),
    )


def _figures(cells: list[Cell], best: Cell | None) -> tuple[str, ...]:
    most, knee = max(cells, key=achieved, default=None), knee_of(cells)
    return (
        *(best.write(metric) if best else MISSING for metric in (THROUGHPUT, P99, CPU)),
        *(cell.write(THROUGHPUT) if cell else MISSING for cell in (most, knee)),
    )


def _finding(best: list[tuple[str, Cell | None]]) -> str:
    promise = duration(PROMISE_US)
    able = [(subject, cell) for subject, cell in best if cell]
    if not able:
        return f"No model kept its p99 below {promise} at any of its rates."
    told = [*able[:3], *(able[-1:] if len(able) > 3 else [])]
    words = listed(f"{subject} {cell.write(THROUGHPUT)}" for subject, cell in told)
    unable = [subject for subject, cell in best if not cell]
    rest = f"; {listed(unable)} at no rate" if unable else ""
    return f"With its p99 below {promise}, a model answers at most, in requests/s: {words}{rest}."
