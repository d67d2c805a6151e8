"""How models scale: figures against connections, idle connections, backlog or rate."""

from __future__ import annotations

__all__ = ["scaling"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reports.cells.ladders import Ladder, Panel, knee_of
from reports.cells.workload import Cell
from reports.charts.style import (
    INK,
    WARNING,
    WIDTH_INCHES,
    facts,
    label_ends,
    log_durations,
    new_figure,
    style_of,
    thousands,
)
from reports.metrics import P99
from reports.record import Run

HEIGHT_INCHES = 8.6
MOST_TICKS = 6


def scaling(run: Run, ladder: Ladder) -> Figure:
    """Draw four figures of every model against what the workloads of a ladder differ in."""
    figure = new_figure(
        HEIGHT_INCHES,
        f"{ladder.scenario}: {ladder.load}: by {ladder.axis.title}",
        f"{facts(run, ladder.workloads[0].asked)}  ·  hollow: not ranked "
        "(connections unserved, errors or failures)  ·  cross: stopped there",
    )
    panels = figure.subplots(2, 2)
    figure.subplots_adjust(
        left=0.85 / WIDTH_INCHES, right=1 - 1.5 / WIDTH_INCHES, top=0.86, bottom=0.07,
        wspace=0.42, hspace=0.28,
    )  # fmt: skip
    for axes, panel in zip(panels.flat, ladder.axis.panels, strict=True):
        axes.set_title(panel.title, loc="left", size=10, weight="bold")
        _panel(figure, axes, ladder, panel)
    return figure


def _panel(figure: Figure, axes: Axes, ladder: Ladder, panel: Panel) -> None:
    metric = panel.metric
    _across(axes, ladder)
    lines = {
        model: [
            cell
            for cell in ladder.points(model)
            if metric.name in cell.figures
            and (cell.figures[metric.name].value > 0 or not (panel.log or metric.latency))
        ]
        for model in ladder.models
    }
    values = [cell.figures[metric.name].value for points in lines.values() for cell in points]
    if not values:
        return
    if metric.latency:
        log_durations(axes.yaxis, min(values), max(values), wanted=6)
    elif panel.log:
        axes.set_yscale("log")
        axes.set_ylim(max(min(values), 1) / 1.4, max(values) * 1.4)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    else:
        axes.set_ylim(min(0, *values), max(values) * 1.08 or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    ends = [_line(axes, ladder, points, panel) for points in lines.values() if points]
    label_ends(figure, axes, ends)


def _across(axes: Axes, ladder: Ladder) -> None:
    places = sorted({ladder.at(cell) for rung in ladder.workloads for cell in rung.cells})
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.2, places[-1] * 1.2)
    axes.xaxis.set_major_locator(
        FixedLocator(places) if len(places) <= MOST_TICKS else LogLocator(subs=(1, 2, 5))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(ladder.axis.words)


def _line(
    axes: Axes, ladder: Ladder, cells: Sequence[Cell], panel: Panel
) -> tuple[float, float, str, str]:
    """Draw one model's line, and return where it ends with the label that belongs there."""
    model, name = cells[0].model, panel.metric.name
    style = style_of(model)
    across = [ladder.at(cell) for cell in cells]
    up = [cell.figures[name].value for cell in cells]
    axes.plot(across, up, color=style.colour, linestyle=style.line, linewidth=1.8)
    for x, y, cell in zip(across, up, cells, strict=True):
        axes.plot(
            x, y, marker=style.marker, markersize=7, color=style.colour,
            markerfacecolor=style.colour if cell.ranked else "white",
        )  # fmt: skip
    knee = knee_of(ladder.points(model)) if ladder.axis.field == "rate" else None
    if knee and panel.metric is P99:
        axes.plot(
            ladder.at(knee), knee.figures[name].value, "o", markersize=14, color=INK,
            markerfacecolor="none", markeredgewidth=1.3,
        )  # fmt: skip
    words = model
    if any(cell.stopped for cell in ladder.points(model)):
        axes.plot(across[-1], up[-1], "x", color=WARNING, markersize=10, markeredgewidth=2)
        words += ", stopped"
    return across[-1], up[-1], words, style.colour
