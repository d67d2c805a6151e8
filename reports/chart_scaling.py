"""How models scale: figures against the number of connections, where a run has several levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from reports.cells import Cell, Workload
from reports.metrics import CPU, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Run
from reports.style import (
    WIDTH_INCHES,
    facts,
    label_ends,
    log_durations,
    new_figure,
    style_of,
    thousands,
)

HEIGHT_INCHES = 8.6
PANELS: Sequence[tuple[str, Metric]] = (
    ("Throughput, requests/s", THROUGHPUT),
    ("Latency p99, log axis", P99),
    ("CPU per request, us", CPU),
    ("Memory under load (PSS), MiB", PSS_LOADED),
)


class Ladder(NamedTuple):
    """Workloads that differ in nothing but the number of connections, fewest first."""

    scenario: str
    load: str  # what they have in common, in words
    workloads: tuple[Workload, ...]


def ladders_of(workloads: Sequence[Workload]) -> list[Ladder]:
    """Return what can be drawn against the number of connections: at least two levels of it.

    The words of a level are "64 connections, 1 KiB, ...": those after the first comma are what
    levels of one ladder share.
    """
    families: dict[tuple[str, str], list[Workload]] = {}
    for workload in workloads:
        rest = workload.level.partition(", ")[2]
        families.setdefault((workload.scenario, rest), []).append(workload)
    return [
        Ladder(scenario, rest, tuple(sorted(rungs, key=lambda rung: rung.load.connections)))
        for (scenario, rest), rungs in families.items()
        if len(rungs) > 1
    ]


def scaling(run: Run, ladder: Ladder) -> Figure:
    """Draw the headline figures of every model against the number of connections."""
    figure = new_figure(
        HEIGHT_INCHES,
        f"{ladder.scenario}: {ladder.load}: by number of connections",
        f"{facts(run, ladder.workloads[0].load)}  ·  hollow: not ranked "
        "(connections unserved, errors or failures)",
    )
    panels = figure.subplots(2, 2)
    figure.subplots_adjust(
        left=0.85 / WIDTH_INCHES, right=1 - 1.5 / WIDTH_INCHES, top=0.86, bottom=0.07,
        wspace=0.42, hspace=0.28,
    )  # fmt: skip
    for axes, (title, metric) in zip(panels.flat, PANELS, strict=True):
        axes.set_title(title, loc="left", size=10, weight="bold")
        _panel(figure, axes, ladder, metric)
    return figure


def _panel(figure: Figure, axes: Axes, ladder: Ladder, metric: Metric) -> None:
    counts = [workload.load.connections for workload in ladder.workloads]
    axes.set_xscale("log")
    axes.set_xlim(counts[0] / 1.2, counts[-1] * 1.2)
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("connections")
    lines = {model: _points(ladder, model, metric) for model in _models(ladder)}
    values = [cell.figures[metric.name].value for points in lines.values() for cell in points]
    if not values:
        return
    if metric.latency:
        log_durations(axes.yaxis, min(values), max(values), wanted=6)
    else:
        axes.set_ylim(0, max(values) * 1.08 or 1.0)
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    ends = [_line(axes, points, metric) for points in lines.values() if points]
    label_ends(figure, axes, ends)


def _models(ladder: Ladder) -> list[str]:
    """Return every model that any of the workloads has, in the run's order."""
    return list(dict.fromkeys(cell.model for rung in ladder.workloads for cell in rung.cells))


def _points(ladder: Ladder, model: str, metric: Metric) -> list[Cell]:
    """Return the cells of a model that have the figure, fewest connections first."""
    cells = (cell for workload in ladder.workloads for cell in workload.cells)
    return [cell for cell in cells if cell.model == model and metric.name in cell.figures]


def _line(axes: Axes, cells: Sequence[Cell], metric: Metric) -> tuple[float, float, str, str]:
    """Draw one model's line, and return where it ends with the label that belongs there."""
    style = style_of(cells[0].model)
    across = [cell.load.connections for cell in cells]
    up = [cell.figures[metric.name].value for cell in cells]
    axes.plot(across, up, color=style.colour, linestyle=style.line, linewidth=1.8)
    for x, y, cell in zip(across, up, cells, strict=True):
        axes.plot(
            x, y, marker=style.marker, markersize=7, color=style.colour,
            markerfacecolor=style.colour if cell.ranked else "white",
        )  # fmt: skip
    return across[-1], up[-1], cells[0].model, style.colour
