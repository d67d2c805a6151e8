"""Placement: what the same model does under the same load on other CPUs."""

from __future__ import annotations

__all__ = ["NAME", "section"]

from collections import defaultdict

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU
from reports.stats import Interval, ratio_interval
from reports.studies.section import Row, Section, Table, cell_at, listed
from reports.units import DASH, number

NAME = "placement"

Pair = tuple[Cell, Cell]


def pairs_of(report: Report) -> list[tuple[Workload, list[Pair]]]:
    """Return each load that a run has at two placements, with the cells of whoever ran at both."""
    groups: dict[tuple[object, ...], list[Workload]] = defaultdict(list)
    for workload in report.workloads:
        if workload.comparable:
            serving = workload.asked.serving
            load = (workload.load.connections, workload.load.kind, workload.load.size_bytes)
            parts = workload.level.split(", ")
            rest = (*(part for part in parts if part != serving.placement), serving.backlog)
            groups[workload.scenario, load, rest].append(workload)
    found = []
    for workloads in groups.values():
        first, *others = sorted(workloads, key=lambda each: len(each.asked.server_cpus))
        for other in others:
            pairs = [
                (cell, elsewhere)
                for cell in first.cells
                if cell.ranked
                and (elsewhere := cell_at(other, cell.subject))
                and elsewhere.ranked
                and first.headline.name in cell.figures
            ]
            if pairs and other.asked.serving.placement != first.asked.serving.placement:
                found.append((first, pairs))
    return found


def section(report: Report) -> Section | None:
    """Return what the run found; None when it has no load at two placements."""
    found = pairs_of(report)
    if not found:
        return None
    first, pairs = found[0]
    return Section(
        name=NAME,
        title="The same on other CPUs",
        asks="How much of a figure is where the processes run?",
        finding=_finding(first, pairs),
        tables=tuple(_table(*each) for each in found),
    )


def _where(cell: Cell) -> str:
    cpus = len(cell.asked.server_cpus)
    return f"{cell.asked.serving.placement} (server on {cpus} CPU{'s' * (cpus != 1)})"


def _ratio(workload: Workload, pair: Pair) -> Interval | None:
    metric = workload.headline
    return ratio_interval(pair[0].by_block(metric), pair[1].by_block(metric))


def _finding(workload: Workload, pairs: list[Pair]) -> str:
    metric = workload.headline
    one, other = (_where(cell) for cell in pairs[0])

    def apart(pair: Pair) -> float:
        ratio = _ratio(workload, pair)
        return max(ratio.value, 1 / ratio.value) if ratio and ratio.value else 1.0

    furthest = max(pairs, key=apart)
    words = listed(
        f"{cell.subject} {cell.write(metric)} against {elsewhere.write(metric)}"
        for cell, elsewhere in pairs
    )
    return (
        f"Placement alone moves {workload.scenario} by a factor of up to {number(apart(furthest))}"
        f" ({furthest[0].subject}): in {metric.unit}, {one} against {other}, {words}."
    )


def _table(workload: Workload, pairs: list[Pair]) -> Table:
    metric = workload.headline
    rows = []
    for pair in pairs:
        ratio = _ratio(workload, pair)
        words = (
            f"{number(ratio.value)} ({number(ratio.low)} {DASH} {number(ratio.high)})"
            if ratio
            else DASH
        )
        figures = [cell.write(each) for each in (metric, CPU) for cell in pair]
        rows.append(Row(pair[0].subject, pair[0].model, (*figures, words)))
    one, other = (_where(cell) for cell in pairs[0])
    return Table(
        f"{workload.scenario}: {workload.level}",
        (
            "Model",
            f"{metric.title}, {metric.unit}: {one}",
            other,
            f"CPU per request, us: {one}",
            other,
            f"{metric.title.lower()}, first to second",
        ),
        tuple(rows),
    )
