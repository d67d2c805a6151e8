"""The summary of a run for the terminal: a table per workload that fits 80 columns."""

from __future__ import annotations

__all__ = ["Summary"]

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from reports.cells.answers import ASKED
from reports.cells.ladders import Ladder, knee_of
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import (
    BANDWIDTH,
    CPU,
    CPU_PER_MIB,
    P50,
    P99,
    PSS_LOADED,
    RATE,
    THROUGHPUT,
)
from reports.page.interpreters import interpreter_tables
from reports.studies.registry import sections_of
from reports.units import MISSING

HEADINGS: Mapping[str, str] = {
    THROUGHPUT.name: "requests/s",
    BANDWIDTH.name: "MiB/s",
    P50.name: "p50",
    P99.name: "p99",
    CPU.name: "CPU us",
    CPU_PER_MIB.name: "CPU ms/MiB",
    PSS_LOADED.name: "PSS MiB",
}
ROOM_FOR_RANGES = 110
ROOM_FOR_LIMITS = 136
ROOM_FOR_NOTES = 100
"""Columns of the terminal from which on intervals, and what limited a cell, are shown as well, and
what went wrong stands beside a model instead of below the table."""


class Summary:
    """A table per workload, models by its headline figure; bold is the best of its column."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the tables, wider ones where the terminal has the room."""
        if not self.report.workloads:
            yield Text("No trial was finished, so there is nothing to show.")
            return
        # A curve has a load for each model and level; where it bends is what it has to say.
        for ladder in self.report.ladders:
            if ladder.axis.field == "rate":
                yield _knees(ladder)
        for workload in self.report.workloads:
            if not workload.comparable:
                continue
            width = options.max_width
            yield _table(
                self.report,
                workload,
                ranges=width >= ROOM_FOR_RANGES,
                limits=width >= ROOM_FOR_LIMITS,
                notes=width >= ROOM_FOR_NOTES,
            )
            if width < ROOM_FOR_NOTES:
                yield from _notes(workload)
        yield from interpreter_tables(self.report.interpreters)
        for section in sections_of(self.report):
            yield Text.assemble((f"{section.title}: ", "bold"), section.finding)
            yield Text()
        yield Text(
            "Medians over trials; latencies of all trials together; CPU us per request. Models that"
            " the trials do not tell apart share ranks. Bold: the best of those that served every"
            " connection without an error.",
            style="dim",
        )


def _table(report: Report, workload: Workload, *, ranges: bool, limits: bool, notes: bool) -> Table:
    table = _blank(workload.scenario, workload.level, "")
    columns = [workload.suited(metric) for metric in ASKED]
    for metric in columns:
        table.add_column(HEADINGS[metric.name], justify="right", no_wrap=True)
        if ranges and metric is columns[0]:
            table.add_column("interval", justify="right", no_wrap=True, style="dim")
    if limits:
        table.add_column("limited by", no_wrap=True, style="dim")
    if notes:
        table.add_column("", overflow="fold")
    ranks = report.ranks_by_headline(workload)
    best = _best(report, workload)
    for cell in workload.rows:
        figures: list[Text] = []
        for metric in columns:
            style = "bold green" if best.get(metric.name) is cell else ""
            figures.append(Text(cell.write(metric), style))
            if ranges and metric is columns[0]:
                figures.append(Text(cell.write_range(metric)))
        if limits:
            figures.append(Text(cell.verdict.limit if cell.trials else ""))
        table.add_row(
            Text(str(ranks.get(cell.subject, ""))),
            Text(cell.subject, "" if cell.ranked else "dim"),
            *figures,
            *([Text(", ".join(cell.notes), _style_of(cell))] if notes else []),
        )
    return table


def _notes(workload: Workload) -> Iterator[Text]:
    """Give what a reader must know before comparing a model with others, a line for each."""
    noted = [cell for cell in workload.rows if cell.notes]
    for cell in noted:
        yield Text(f"{cell.subject}: {', '.join(cell.notes)}", _style_of(cell))
    if noted:
        yield Text()


def _style_of(cell: Cell) -> str:
    """Return the colour of a cell's notes: that the GIL was on after all is no nuance."""
    return "bold red" if cell.gil_came_back else "yellow"


def _blank(scenario: str, load: str, *before: str) -> Table:
    """Return a table without rows, of models and whatever stands before them."""
    table = Table(
        title=Text.assemble((scenario, "bold"), "  ", load),
        title_justify="left",
        title_style="none",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in (*before, "model"):
        table.add_column(heading, no_wrap=True)
    return table


def _knees(ladder: Ladder) -> Table:
    table = _blank(ladder.scenario, f"{ladder.load}: the knee, where response times bend")
    for heading in ("requests/s", "p50", "p99", "CPU us"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in ladder.models:
        knee = knee_of(ladder.points(model))
        figures = [knee.write(metric) if knee else MISSING for metric in (RATE, P50, P99, CPU)]
        table.add_row(model, *figures)
    return table


def _best(report: Report, workload: Workload) -> dict[str, Cell]:
    leads = (report.answers.lead(workload, metric) for metric in ASKED)
    return {lead.metric.name: lead.best for lead in leads if lead and lead.told}
