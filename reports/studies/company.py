"""Company: what small requests wait for while other connections keep the server computing."""

from __future__ import annotations

__all__ = ["NAME", "ladders_of_company", "section"]

from reports.cells.ladders import Axis, Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import COMPANY, P99
from reports.studies.section import Row, Section, Table, cell_at, ladders_named, subjects_of
from reports.units import MISSING

NAME = "company"
AXIS = Axis("company", "company", "connections that keep a COMPUTE under way", r"^company of ", ())


def ladders_of_company(report: Report) -> list[Ladder]:
    """Return the workloads that differ in nothing but the company, the least first.

    There is one for each interpreter's or server's option that a run has levels of.
    """
    return ladders_named(report, NAME, AXIS)


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladders = ladders_of_company(report)
    if not ladders:
        return None
    return Section(
        name=NAME,
        title="In company",
        asks="What do small requests wait for while others keep the server computing?",
        finding=_finding(ladders),
        tables=tuple(map(_table, ladders)),
        notes=(
            "Both loads are the engine\u2019s, with a thread each, on the generator\u2019s CPUs,"
            " where neither spins; with placement split the server has CPUs of its own.",
            "CPU per request is not given, as the company\u2019s is in it.",
        ),
    )


def _p99(cell: Cell) -> float:
    return cell.figures[P99.name].value


def _finding(ladders: list[Ladder]) -> str:
    last = [
        (ladder, cell)
        for ladder in ladders
        for cell in ladder.workloads[-1].cells
        if cell.ranked and P99.name in cell.figures
    ]
    if not last:
        return (
            "No model has a p99 in the company of others: it takes a thousand requests, on"
            " connections that are all served and without an error."
        )
    best, worst = (pick(last, key=lambda each: _p99(each[1])) for pick in (min, max))
    most = best[1].load.company
    words = f"Beside {most} that compute, the p99 of small requests is {_told(*best, ladders)}"
    if worst != best:
        words += f" and {_told(*worst, ladders)}"
    return f"{words}."


def _told(ladder: Ladder, cell: Cell, ladders: list[Ladder]) -> str:
    """Say a figure: whose it is, what it was alone, and under which options if there are any."""
    alone = cell_at(ladder.workloads[0], cell.subject)
    options = f", {ladder.load}" if len(ladders) > 1 else ""
    before = f", {alone.write(P99)} alone" if alone and P99.name in alone.figures else ""
    return (
        f"{cell.write(P99)} with {cell.subject} ({cell.write(COMPANY)} COMPUTEs/s{before}{options})"
    )


def _table(ladder: Ladder) -> Table:
    rows = []
    for subject, model in subjects_of(ladder.workloads).items():
        cells = [cell_at(rung, subject) for rung in ladder.workloads]
        p99s = [cell.write(P99) + "*" * (not cell.ranked) if cell else MISSING for cell in cells]
        last = cells[-1]
        rows.append(Row(subject, model, (*p99s, last.write(COMPANY) if last else MISSING)))
    company = [rung.load.company for rung in ladder.workloads]
    return Table(
        f"p99 of small requests by number of connections that compute: {ladder.load};"
        " * not ranked: connections unserved, or errors",
        ("Model", *(f"{count}" for count in company), f"COMPUTEs/s beside {company[-1]}"),
        tuple(rows),
    )
