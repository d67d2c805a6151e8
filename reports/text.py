"""The summary of a run for the terminal: a table per workload that fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from reports.cells import Cell, Workload, workloads_of
from reports.leaders import QUESTIONS, leader_of
from reports.metrics import CPU, P50, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Run, Sample

COLUMNS: Sequence[tuple[str, Metric]] = (
    ("requests/s", THROUGHPUT),
    ("p50", P50),
    ("p99", P99),
    ("CPU us", CPU),
    ("PSS MiB", PSS_LOADED),
)
ROOM_FOR_RANGES = 110
"""Columns of the terminal from which on the range of the trials is shown as well."""


def summary_table(run: Run, samples: Sequence[Sample]) -> Summary:
    """Return the renderable summary of a run: `Console().print(summary_table(*folder.read()))`."""
    return Summary(workloads_of(run, samples))


class Summary:
    """A table per workload, models by throughput; bold is the best of its column."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self.workloads = workloads

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the tables, wider ones where the terminal has the room."""
        if not self.workloads:
            yield Text("No trial was finished, so there is nothing to show.")
            return
        for workload in self.workloads:
            yield _table(workload, ranges=options.max_width >= ROOM_FOR_RANGES)
        yield Text(
            "Medians over trials; latencies of all trials together; CPU per request. Bold: the best"
            " of those that served every connection without an error.",
            style="dim",
        )


def _table(workload: Workload, *, ranges: bool) -> Table:
    table = Table(
        title=Text.assemble((workload.scenario, "bold"), "  ", workload.level),
        title_justify="left",
        title_style="none",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("model", no_wrap=True)
    for heading, _ in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
        if ranges and heading == "requests/s":
            table.add_column("trials", justify="right", no_wrap=True, style="dim")
    table.add_column("", overflow="fold")
    best = _best(workload)
    for cell in workload.ranking:
        figures: list[Text] = []
        for heading, metric in COLUMNS:
            style = "bold green" if best.get(metric.name) is cell else ""
            figures.append(Text(cell.write(metric), style))
            if ranges and heading == "requests/s":
                figures.append(Text(cell.write_range(metric)))
        table.add_row(
            Text(cell.model, "" if cell.ranked else "dim"),
            *figures,
            Text(", ".join(cell.notes), "yellow"),
        )
    return table


def _best(workload: Workload) -> dict[str, Cell]:
    leaders = [leader_of(workload, question) for question in QUESTIONS]
    return {leader.question.metric.name: leader.cell for leader in leaders if leader}
