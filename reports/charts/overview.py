"""The overview of a workload: throughput, latency, CPU and memory of all models, side by side.

Four panels share the axis of models, best headline figure first. Cells that are not ranked stand
last and pale, with the reason under the model's name.
"""

from __future__ import annotations

__all__ = ["overview"]

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.cells.families import chosen_of
from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    FAINT,
    GREY,
    INK,
    Looks,
    bars,
    facts,
    log_durations,
    looks_of,
    name_rows,
    new_frame,
    pale,
    shifted,
    thousands,
)
from reports.metrics import CPU, P50, P90, P99, PSS_IDLE, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Run

ROW_INCHES = 0.46
TOP_INCHES = 1.3
BOTTOM_INCHES = 0.55
LEFT_INCHES = 2.15
NAMES_POINTS = 13  # from the axes to the names
CUT_FROM, CUT_TO, CUT = 8.0, 4.0, "// "
"""Times the median: a longer bar of memory is cut to that, with a mark before its figure."""
MARKERS: Mapping[Metric, str] = {P50: "o", P90: "|", P99: "D"}
ROOM_FOR_WORDS = 1.32  # how much longer than its longest bar a panel is


def overview(run: Run, workload: Workload) -> Figure:
    """Draw one workload's four headline figures for its models."""
    looks = looks_of(run)
    cells, left_out = chosen_of(run, workload)
    trials = max(len(cell.trials) for cell in cells)
    shown = (
        f"medians of {trials} trials, each a dot; latency of all trials together"
        if trials > 1
        else "one trial of each model"
    )
    frame = new_frame(
        f"{workload.scenario}: {workload.level}",
        f"{facts(run, workload.asked)}  ·  {shown}",
        left_out,
        top=TOP_INCHES,
        axes=ROW_INCHES * len(cells),
        bottom=BOTTOM_INCHES,
    )
    axes = frame.figure.subplots(1, 4, sharey=True, width_ratios=(1, 1.15, 1, 1))
    left, right = frame.across(LEFT_INCHES, 0.2)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.1
    )
    _bars(axes[0], cells, workload.suited(THROUGHPUT), looks)
    _latencies(axes[1], cells, looks)
    _bars(axes[2], cells, workload.suited(CPU), looks)
    _memory(axes[3], cells, looks)
    axes[0].set_ylim(len(cells) - 0.45, -0.55)
    axes[0].set_yticks([])
    name_rows(axes[0], cells, looks, NAMES_POINTS)
    return frame.figure


def _head(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", size=10, weight="bold", pad=24)
    axes.spines["left"].set_color(FAINT)


def _zero_based(axes: Axes, cells: Sequence[Cell], metric: Metric, most: float = math.inf) -> None:
    highest = min(max((cell.extreme(metric) for cell in cells), default=0.0) or 1.0, most)
    axes.set_xlim(0, highest * ROOM_FOR_WORDS)
    # No tick near the right end, where its label would meet the next panel's zero.
    # The longer the numbers, the fewer of them fit.
    ticks = MaxNLocator(4 if highest < 1_000 else 3 if highest < 10_000 else 2).tick_values(
        0, highest
    )
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= highest * 1.15]))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))


def _strength(cell: Cell) -> float:
    return 0.85 if cell.ranked else 0.38


def _bars(axes: Axes, cells: Sequence[Cell], metric: Metric, looks: Looks) -> None:
    """Draw a bar from zero to the median, the trials as dots upon it, the figure behind it."""
    _head(axes, f"{metric.title}, {metric.unit}")
    rows = _rows_with(cells, metric)
    bars(
        axes,
        {row: cell.figures[metric.name].value for row, cell in rows.items()},
        0.62,
        [pale(looks.of(cell.model).colour, _strength(cell)) for cell in rows.values()],
    )
    _write(axes, {row: (cell.extreme(metric), cell.write(metric)) for row, cell in rows.items()})
    _dots(axes, cells, metric)
    _zero_based(axes, [*rows.values()], metric)


def _rows_with(cells: Sequence[Cell], metric: Metric) -> dict[int, Cell]:
    """Return the cells that have a figure, by their row."""
    return {row: cell for row, cell in enumerate(cells) if metric.name in cell.figures}


def _write(axes: Axes, words: Mapping[int, tuple[float, str]], colour: str = INK) -> None:
    """Write words right of a place in each row."""
    beside = shifted(axes, axes.transData, 6)
    for row, (at, figure) in words.items():
        axes.text(at, row, figure, transform=beside, va="center", size=8.5, color=colour)


def _dots(
    axes: Axes, cells: Sequence[Cell | None], metric: Metric, below: float = 0.0, size: float = 3.3
) -> None:
    """Draw a dot for each trial; hollow for one during which others used the machine.

    Those of all rows at once: lines cost by their number, not by their points.
    """
    for disturbed in (False, True):
        dots = [
            (value, row + below)
            for row, cell in enumerate(cells)
            if cell and metric.name in cell.figures
            for trial in cell.trials
            if trial.disturbed == disturbed and (value := metric.of(trial)) is not None
        ]
        axes.plot(
            [value for value, _ in dots], [row for _, row in dots], "o",
            color="white" if disturbed else INK, markersize=size,
            markeredgecolor=INK if disturbed else "white", markeredgewidth=0.5, zorder=4,
        )  # fmt: skip


def _latencies(axes: Axes, cells: Sequence[Cell], looks: Looks) -> None:
    """Draw p50, p90 and p99 of a model on one line; an arrow where a figure is only a bound."""
    _head(axes, "Latency, log axis")
    found = {
        row: [metric for metric in MARKERS if metric.name in cell.figures]
        for row, cell in enumerate(cells)
    }
    told = [
        spread.value
        for row, metrics in found.items()
        for metric in metrics
        if not (spread := cells[row].figures[metric.name]).at_least
    ]
    # A lower bound neither stretches the axis nor is it lost: it stands at the edge as an arrow.
    edge = max(told) * 1.1 if told else math.inf

    def at(row: int, metric: Metric) -> float:
        return min(cells[row].figures[metric.name].value, edge)

    seen = []
    for metric, marker in MARKERS.items():
        for at_least in (False, True):
            rows = [
                row
                for row, metrics in found.items()
                if metric in metrics and cells[row].figures[metric.name].at_least == at_least
            ]
            values = [at(row, metric) for row in rows]
            seen += values
            colours = [_line_colour(cells[row], looks) for row in rows]
            # Rings look as large as discs with half of the edge beyond them.
            axes.scatter(
                values, rows, 60 if marker == "|" else 36, marker=">" if at_least else marker,
                facecolors="white" if metric is P99 else colours,
                edgecolors=None if marker == "|" and not at_least else colours,
                linewidths=2 if marker == "|" else 1.2, zorder=3,
            )  # fmt: skip
    ends = {
        row: [at(row, metric) for metric in metrics] for row, metrics in found.items() if metrics
    }
    axes.add_collection(
        LineCollection(
            [[(min(values), row), (max(values), row)] for row, values in ends.items()],
            colors=[_line_colour(cells[row], looks) for row in ends], linewidths=2.5,
        ),
        autolim=False,
    )  # fmt: skip
    for has, colour in ((True, INK), (False, GREY)):
        _write(
            axes,
            {
                row: (max(values), f"p99 {cells[row].write(P99)}" if has else "no p99")
                for row, values in ends.items()
                if (P99 in found[row]) == has
            },
            colour,
        )
    for metric in (P50, P99):
        bound = [
            cell if metric in found[row] and not cell.figures[metric.name].at_least else None
            for row, cell in enumerate(cells)
        ]
        _dots(axes, bound, metric, 0.27, size=2.6)
    if seen:
        low, high = min(seen), max(seen)
        # The words behind the last point need their share of a log axis.
        log_durations(axes.xaxis, low, high * max((high / low) ** 0.45, 1.3), wanted=3.5)
    handles = [
        Line2D([], [], color=GREY, marker=marker, linestyle="none", label=metric.latency,
               markerfacecolor="white" if metric is P99 else GREY, markeredgewidth=1.5)
        for metric, marker in MARKERS.items()
    ]  # fmt: skip
    _key(axes, handles)


def _line_colour(cell: Cell, looks: Looks) -> tuple[float, float, float]:
    return pale(looks.of(cell.model).colour, 1.0 if cell.ranked else 0.6)


def _memory(axes: Axes, cells: Sequence[Cell], looks: Looks) -> None:
    """Draw memory under load as a wide pale bar, and at rest as a narrow dark one in it."""
    _head(axes, "Memory (PSS), MiB")
    rows = _rows_with(cells, PSS_LOADED)
    # Sixty-four processes must not squash all others to nothing: their bars are cut, and say so.
    loaded = [cell.figures[PSS_LOADED.name].value for cell in rows.values()]
    usual = float(np.median(loaded)) if loaded else 0.0
    most = CUT_TO * usual if max(loaded, default=0.0) > CUT_FROM * usual else math.inf
    for metric, height, share in ((PSS_LOADED, 0.62, 0.4), (PSS_IDLE, 0.26, 1.0)):
        bars(
            axes,
            {row: min(cell.figures[metric.name].value, most) for row, cell in rows.items()},
            height,
            [pale(looks.of(cell.model).colour, share * _strength(cell)) for cell in rows.values()],
        )
    _write(
        axes,
        {
            row: (min(reach, most), CUT * (reach > most) + cell.write(PSS_LOADED))
            for row, cell in rows.items()
            for reach in [max(cell.extreme(PSS_LOADED), cell.extreme(PSS_IDLE))]
        },
    )
    uncut = [
        cell if row in rows and cell.extreme(PSS_LOADED) <= most else None
        for row, cell in enumerate(cells)
    ]
    _dots(axes, uncut, PSS_LOADED, 0.2, size=2.8)
    _zero_based(axes, [*rows.values()], PSS_LOADED, most)
    _key(axes, [Patch(color=GREY, label="idle"), Patch(color=GREY, alpha=0.4, label="under load")])


def _key(axes: Axes, handles: Sequence[Line2D | Patch]) -> None:
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 0.995), ncols=len(handles),
        handletextpad=0.3, columnspacing=1.2, handlelength=1.2, borderaxespad=0.1,
    )  # fmt: skip
