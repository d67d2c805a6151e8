"""How models scale: what is left of their best throughput when there are many connections."""

from __future__ import annotations

__all__ = ["NAME", "ladder_of", "section"]

from reports.cells.ladders import CONNECTIONS, Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU, P99, THROUGHPUT
from reports.studies.section import Row, Section, Table, cell_at, ladders_named, subjects_of
from reports.units import MISSING, percent

NAME = "scaling"


def ladder_of(report: Report) -> Ladder | None:
    """Return the workloads of the study, the fewest connections first."""
    return next(iter(ladders_named(report, NAME, CONNECTIONS)), None)


def kept(ladder: Ladder, subject: str) -> float | None:
    """Return which share of its best throughput a model has at the last rung; None: it failed.

    The last rung is the last one that any model served.
    """
    cells = [cell for cell in ladder.points(subject) if cell.ranked]
    last = last_served(ladder)
    if last is ladder.workloads[0] or not cells or cells[-1] is not cell_at(last, subject):
        return None
    best = max(_throughput(cell) for cell in cells)
    return _throughput(cells[-1]) / best if best else None


def last_served(ladder: Ladder) -> Workload:
    """Return the most connections that any model served without an error; or else the most."""
    served = [each for each in ladder.workloads if any(cell.ranked for cell in each.cells)]
    return (served or ladder.workloads)[-1]


def _throughput(cell: Cell) -> float:
    return cell.figures[THROUGHPUT.name].value


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladder = ladder_of(report)
    if ladder is None:
        return None
    models = subjects_of(ladder.workloads)
    shares = {subject: kept(ladder, subject) for subject in models}
    return Section(
        name=NAME,
        title="What more connections do",
        asks="What becomes of throughput, latency and CPU when there are more connections?",
        finding=_finding(ladder, {name: share for name, share in shares.items() if share}),
        tables=(_table(ladder, models, shares),),
    )


def _finding(ladder: Ladder, shares: dict[str, float]) -> str:
    last = last_served(ladder)
    least, most, asked = (
        each.load.connections for each in (ladder.workloads[0], last, ladder.workloads[-1])
    )
    if not shares:
        return f"No model served more connections than {least:,} without an error."
    steady, falling = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    fastest = max((cell for cell in last.cells if cell.subject in shares), key=_throughput)
    words = (
        f"Between {least:,} and {most:,} connections {steady} keeps {percent(shares[steady])} of"
        " its best throughput"
    )
    if falling != steady:
        words += f" and {falling} {percent(shares[falling])}"
    return (
        f"{words}; over {most:,} of them {fastest.subject} answers the most,"
        f" {fastest.write(THROUGHPUT)} requests/s with a p99 of {fastest.write(P99)}"
        f" and {fastest.write(CPU)} us of CPU each"
        f"{f'; no model served all of {asked:,}' if asked > most else ''}."
    )


def _table(ladder: Ladder, models: dict[str, str], shares: dict[str, float | None]) -> Table:
    rows = []
    for subject, model in models.items():
        cells = [cell_at(rung, subject) for rung in ladder.workloads]
        figures = [cell.write(THROUGHPUT) + "*" * (not cell.ranked) if cell else MISSING
                   for cell in cells]  # fmt: skip
        share = shares[subject]
        rows.append(Row(subject, model, (*figures, percent(share) if share else MISSING)))
    rungs = (f"{rung.load.connections:,}" for rung in ladder.workloads)
    return Table(
        "Requests/s by number of connections; * not ranked: connections unserved, or errors",
        ("Model", *rungs, "kept of the best"),
        tuple(rows),
    )
