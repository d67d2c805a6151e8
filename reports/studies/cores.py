"""Scaling over cores: what more CPUs do for a server that computes, against the ideal."""

from __future__ import annotations

__all__ = [
    "NAME",
    "cpus_of",
    "ladder_of",
    "section",
    "speed_ups",
]

from reports.cells.ladders import Axis, Ladder
from reports.cells.report import Report
from reports.metrics import THROUGHPUT
from reports.stats import Interval, ratio_interval
from reports.studies.section import Row, Section, Table, cell_at, ladders_named, subjects_of
from reports.units import DASH, MISSING, number

NAME = "cores"
AXIS = Axis("cpus", "number of CPUs", "CPUs that the server may use", r"^server on ", ())


def ladder_of(report: Report) -> Ladder | None:
    """Return the workloads of the study, the fewest CPUs first."""
    return next(iter(ladders_named(report, NAME, AXIS)), None)


def cpus_of(ladder: Ladder) -> list[int]:
    """Return how many CPUs the server had at each rung."""
    return [len(rung.asked.server_cpus) for rung in ladder.workloads]


def speed_ups(ladder: Ladder, subject: str) -> dict[int, Interval]:
    """Return by number of CPUs how many times as much was computed as on the fewest.

    Rungs at which the subject failed, or was not all that it was asked to be, have none.
    """
    cells = [cell_at(rung, subject) for rung in ladder.workloads]
    first = cells[0]
    if not first or not first.ranked:
        return {}
    found = {}
    for cpus, cell in zip(cpus_of(ladder), cells, strict=True):
        if not cell or not cell.ranked:
            continue
        ratio = ratio_interval(cell.by_block(THROUGHPUT), first.by_block(THROUGHPUT))
        if ratio:
            found[cpus] = ratio
    return found


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladder = ladder_of(report)
    if ladder is None:
        return None
    models = subjects_of(ladder.workloads)
    found = {subject: speed_ups(ladder, subject) for subject in models}
    return Section(
        name=NAME,
        title="What more cores do",
        asks="How many times as much does a server compute on more CPUs, against the ideal?",
        finding=_finding(ladder, found),
        tables=(_table(ladder, models, found),),
        notes=(
            "The generator may run on any CPU; it takes little of one for requests like these.",
            "A server of one process computes on one CPU at a time while it has a GIL.",
        ),
    )


def _finding(ladder: Ladder, found: dict[str, dict[int, Interval]]) -> str:
    least, most = cpus_of(ladder)[0], cpus_of(ladder)[-1]
    at_most = {subject: ups[most] for subject, ups in found.items() if most in ups}
    if not at_most:
        return f"No model answered all it was asked on {most} CPUs."
    best = max(at_most, key=lambda subject: at_most[subject].value)
    worst = min(at_most, key=lambda subject: at_most[subject].value)
    words = (
        f"On {most} CPUs {best} computes {_words(at_most[best])} times as much as on {least},"
        f" where {most // least} would be ideal"
    )
    if worst != best:
        words += f", and {worst} {_words(at_most[worst])} times"
    return f"{words}."


def _words(ratio: Interval) -> str:
    return f"{number(ratio.value)} ({number(ratio.low)} {DASH} {number(ratio.high)})"


def _table(ladder: Ladder, models: dict[str, str], found: dict[str, dict[int, Interval]]) -> Table:
    rungs = cpus_of(ladder)
    rows = []
    for subject, model in models.items():
        first = cell_at(ladder.workloads[0], subject)
        ups = [_words(found[subject][cpus]) if cpus in found[subject] else MISSING
               for cpus in rungs[1:]]  # fmt: skip
        rows.append(Row(subject, model, (first.write(THROUGHPUT) if first else MISSING, *ups)))
    return Table(
        f"COMPUTEs/s on {rungs[0]}, and how many times that on more CPUs, within blocks",
        ("Model", f"on {rungs[0]}", *(f"times on {cpus}" for cpus in rungs[1:])),
        tuple(rows),
    )
