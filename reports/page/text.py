"""The summary of a run for the terminal: a table per workload that fits 80 columns."""

from __future__ import annotations

__all__ = ["summary_table"]

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from reports.cells.answers import standing_of
from reports.cells.ladders import Ladder, knee_of, ladders_of
from reports.cells.workload import Cell, Workload, workloads_of
from reports.metrics import (
    BANDWIDTH,
    CPU,
    CPU_PER_MIB,
    P50,
    P99,
    PSS_LOADED,
    RATE,
    THROUGHPUT,
    Metric,
)
from reports.record import Run, Sample
from reports.units import MISSING

COLUMNS: Sequence[Metric] = (THROUGHPUT, P50, P99, CPU, PSS_LOADED)
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
"""Columns of the terminal from which on intervals, and what limited a cell, are shown as well."""


def summary_table(run: Run, samples: Sequence[Sample]) -> Summary:
    """Return the renderable summary of a run: `Console().print(summary_table(*folder.read()))`."""
    return Summary(workloads_of(run, samples))


class Summary:
    """A table per workload, models by its headline figure; bold is the best of its column."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self.workloads = workloads

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the tables, wider ones where the terminal has the room."""
        if not self.workloads:
            yield Text("No trial was finished, so there is nothing to show.")
            return
        # A curve has a load for each model and level; where it bends is what it has to say.
        for ladder in ladders_of(self.workloads):
            if ladder.axis.field == "rate":
                yield _knees(ladder)
        for workload in self.workloads:
            if not workload.comparable:
                continue
            width = options.max_width
            yield _table(workload, ranges=width >= ROOM_FOR_RANGES, limits=width >= ROOM_FOR_LIMITS)
        yield Text(
            "Medians over trials; latencies of all trials together; CPU us per request. Models that"
            " the trials do not tell apart share ranks. Bold: the best of those that served every"
            " connection without an error.",
            style="dim",
        )


def _table(workload: Workload, *, ranges: bool, limits: bool) -> Table:
    table = _blank(workload.scenario, workload.level, "")
    columns = [workload.suited(metric) for metric in COLUMNS]
    for metric in columns:
        table.add_column(HEADINGS[metric.name], justify="right", no_wrap=True)
        if ranges and metric is columns[0]:
            table.add_column("interval", justify="right", no_wrap=True, style="dim")
    if limits:
        table.add_column("limited by", no_wrap=True, style="dim")
    table.add_column("", overflow="fold")
    ranks = workload.ranks(workload.headline)
    best = _best(workload)
    for cell in workload.ranking:
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
            Text(", ".join(cell.notes), "yellow"),
        )
    return table


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


def _best(workload: Workload) -> dict[str, Cell]:
    standings = [standing_of(workload, metric) for metric in COLUMNS]
    return {standing.metric.name: standing.best for standing in standings if standing}
