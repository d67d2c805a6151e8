"""How models scale: figures against connections, idle connections, backlog or rate."""

from __future__ import annotations

__all__ = ["scaling"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reports.cells.families import chosen_on
from reports.cells.ladders import Ladder, Panel, knee_of
from reports.cells.workload import Cell
from reports.charts.style import (
    GREY,
    INK,
    WARNING,
    End,
    Look,
    Looks,
    facts,
    label_ends,
    log_durations,
    looks_of,
    new_frame,
    thousands,
)
from reports.metrics import P99, THROUGHPUT
from reports.record import Run

TOP_INCHES, AXES_INCHES, BOTTOM_INCHES = 1.2, 6.8, 0.6
MOST_TICKS = 6
LEAST_RATIO = 2.5
"""Between neighbours on a log axis: labels of places that are closer run into each other."""


def scaling(run: Run, ladder: Ladder) -> Figure:
    """Draw four figures of the models against what the workloads of a ladder differ in."""
    chosen, looks = chosen_on(run, ladder), looks_of(run)
    frame = new_frame(
        f"{ladder.scenario}: {ladder.load}: by {ladder.axis.title}",
        f"{facts(run, ladder.workloads[0].asked)}  ·  hollow: not ranked "
        "(connections unserved, errors or failures)  ·  cross: stopped there",
        chosen.sentence,
        top=TOP_INCHES,
        axes=AXES_INCHES,
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(2, 2)
    left, right = frame.across(0.85, 1.7)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.46, hspace=0.28
    )
    for axes, panel in zip(panels.flat, ladder.axis.panels, strict=True):
        axes.set_title(panel.title, loc="left", size=10, weight="bold")
        label_ends(frame.figure, axes, _panel(axes, ladder, panel, chosen.subjects, looks))
    return frame.figure


def _panel(
    axes: Axes, ladder: Ladder, panel: Panel, subjects: Sequence[str], looks: Looks
) -> list[End]:
    """Draw one figure of the models, and return where their lines end."""
    metric = panel.metric
    _across(axes, ladder)
    lines = {
        subject: [
            cell
            for cell in ladder.points(subject)
            if metric.name in cell.figures
            and (cell.figures[metric.name].value > 0 or not (panel.log or metric.latency))
        ]
        for subject in subjects
    }
    values = [cell.figures[metric.name].value for points in lines.values() for cell in points]
    if not values:
        return []
    if ladder.axis.field == "rate" and metric is THROUGHPUT:
        _as_asked(axes)
    elif metric.latency:
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
    return [
        _line(axes, ladder, points, panel, looks.of(points[0].model))
        for points in lines.values()
        if points
    ]


def _as_asked(axes: Axes) -> None:
    """Give throughput the scale of the rate, and the line on which all that is due is answered."""
    limits = axes.get_xlim()
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.plot(limits, limits, color=GREY, linewidth=1, linestyle=(0, (1, 2)), zorder=0.9)
    axes.annotate(
        "dotted: all that is due is answered", (0.02, 1.0), (0, -2), ha="left", va="top",
        xycoords="axes fraction", textcoords="offset points", size=8, color=GREY,
    )  # fmt: skip


def _across(axes: Axes, ladder: Ladder) -> None:
    places = sorted({ladder.at(cell) for rung in ladder.workloads for cell in rung.cells})
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.2, places[-1] * 1.2)
    axes.xaxis.set_major_locator(
        FixedLocator(_apart(places)) if len(places) <= MOST_TICKS else LogLocator(subs=(1, 2, 5))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(ladder.axis.words)


def _apart(places: Sequence[float]) -> list[float]:
    """Return those of ascending places whose labels find room, the last of them first of all."""
    kept: list[float] = []
    for place in reversed(places):
        if not kept or kept[-1] >= place * LEAST_RATIO:
            kept.append(place)
    return kept[::-1]


def _line(axes: Axes, ladder: Ladder, cells: Sequence[Cell], panel: Panel, style: Look) -> End:
    """Draw one model's line, and return where it ends with the label that belongs there."""
    subject, name = cells[0].subject, panel.metric.name
    across = [ladder.at(cell) for cell in cells]
    up = [cell.figures[name].value for cell in cells]
    axes.plot(across, up, color=style.colour, linestyle=style.line, linewidth=1.8)
    for x, y, cell in zip(across, up, cells, strict=True):
        axes.plot(
            x, y, marker=style.marker, markersize=7, color=style.colour,
            markerfacecolor=style.colour if cell.ranked else "white",
        )  # fmt: skip
    knee = knee_of(ladder.points(subject)) if ladder.axis.field == "rate" else None
    if knee and panel.metric is P99:
        axes.plot(
            ladder.at(knee), knee.figures[name].value, "o", markersize=14, color=INK,
            markerfacecolor="none", markeredgewidth=1.3,
        )  # fmt: skip
    words = subject
    if any(cell.stopped for cell in ladder.points(subject)):
        axes.plot(across[-1], up[-1], "x", color=WARNING, markersize=10, markeredgewidth=2)
        words += ", stopped"
    return End(across[-1], up[-1], words, style.colour)
