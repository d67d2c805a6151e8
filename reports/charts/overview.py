"""The overview of a workload: throughput, latency, CPU and memory of all models, side by side.

Four panels share the axis of models, best headline figure first. Cells that are not ranked stand
last and pale, with the reason under the model's name.
"""

from __future__ import annotations

__all__ = ["overview"]

from collections.abc import Sequence

from matplotlib.axes import Axes
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
    WARNING,
    Looks,
    facts,
    log_durations,
    looks_of,
    new_frame,
    pale,
    shortened,
    thousands,
)
from reports.metrics import CPU, P50, P90, P99, PSS_IDLE, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Run

ROW_INCHES = 0.46
TOP_INCHES = 1.3
BOTTOM_INCHES = 0.55
LEFT_INCHES = 2.15
NOTE_LETTERS = 32
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
    _names(axes[0], cells, looks)
    return frame.figure


def _names(axes: Axes, cells: Sequence[Cell], looks: Looks) -> None:
    axes.set_ylim(len(cells) - 0.45, -0.55)
    axes.set_yticks(range(len(cells)), [""] * len(cells))
    for row, cell in enumerate(cells):
        style = looks.of(cell.model)
        note = shortened("; ".join(cell.notes), NOTE_LETTERS)
        axes.annotate(
            cell.subject, (0, row), (-12, 5 if note else 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="center", size=10,
        )  # fmt: skip
        axes.plot(
            -0.025, row, transform=axes.get_yaxis_transform(), marker=style.marker, markersize=6,
            color=style.colour, clip_on=False, zorder=5,
        )  # fmt: skip
        if note:
            axes.annotate(
                note, (0, row), (-12, -7), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="center", size=7.5, color=WARNING,
            )  # fmt: skip


def _head(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", size=10, weight="bold", pad=24)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_color(FAINT)


def _zero_based(axes: Axes, cells: Sequence[Cell], metric: Metric) -> None:
    highest = max((cell.extreme(metric) for cell in cells), default=0.0) or 1.0
    axes.set_xlim(0, highest * ROOM_FOR_WORDS)
    # No tick near the right end, where its label would meet the next panel's zero.
    # The longer the numbers, the fewer of them fit.
    ticks = MaxNLocator(4 if highest < 30_000 else 2).tick_values(0, highest)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= highest * 1.15]))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))


def _strength(cell: Cell) -> float:
    return 0.85 if cell.ranked else 0.38


def _bars(axes: Axes, cells: Sequence[Cell], metric: Metric, looks: Looks) -> None:
    """Draw a bar from zero to the median, the trials as dots upon it, the figure behind it."""
    _head(axes, f"{metric.title}, {metric.unit}")
    for row, cell in enumerate(cells):
        spread = cell.figures.get(metric.name)
        if spread is None:
            continue
        colour = looks.of(cell.model).colour
        axes.barh(row, spread.value, 0.62, color=pale(colour, _strength(cell)))
        axes.annotate(
            cell.write(metric), (cell.extreme(metric), row), (6, 0),
            textcoords="offset points", va="center", size=8.5,
        )  # fmt: skip
    _dots(axes, cells, metric)
    _zero_based(axes, [c for c in cells if metric.name in c.figures], metric)


def _dots(
    axes: Axes, cells: Sequence[Cell], metric: Metric, below: float = 0.0, size: float = 3.3
) -> None:
    """Draw a dot for each trial; hollow for one during which others used the machine.

    Those of all rows at once: lines cost by their number, not by their points.
    """
    for disturbed in (False, True):
        dots = [
            (value, row + below)
            for row, cell in enumerate(cells)
            if metric.name in cell.figures
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
    markers = {P50.name: "o", P90.name: "|", P99.name: "D"}
    seen = []
    for row, cell in enumerate(cells):
        spreads = {name: cell.figures[name] for name in markers if name in cell.figures}
        if not spreads:
            continue
        colour = pale(looks.of(cell.model).colour, 1.0 if cell.ranked else 0.6)
        values = [spread.value for spread in spreads.values()]
        seen += values
        axes.plot([min(values), max(values)], [row, row], color=colour, linewidth=2.5)
        for name, spread in spreads.items():
            axes.plot(
                spread.value, row, color=colour, linestyle="none",
                marker=">" if spread.at_least else markers[name],
                markersize=9 if markers[name] == "|" else 6.5,
                markeredgewidth=2 if markers[name] == "|" else 1,
                markerfacecolor="white" if name == P99.name else colour,
            )  # fmt: skip
        words = cell.write(P99) if P99.name in spreads else "no p99"
        axes.annotate(
            words, (max(values), row), (8, 0), textcoords="offset points", va="center",
            size=8.5, color=INK if P99.name in spreads else GREY,
        )  # fmt: skip
    for metric in (P50, P99):
        _dots(axes, cells, metric, 0.27, size=2.6)
    if seen:
        low, high = min(seen), max(seen)
        # The words behind the last point need their share of a log axis.
        log_durations(axes.xaxis, low, high * max((high / low) ** 0.3, 1.15), wanted=3.5)
    handles = [
        Line2D([], [], color=GREY, marker=marker, linestyle="none", label=name.split("_")[1],
               markerfacecolor="white" if name == P99.name else GREY, markeredgewidth=1.5)
        for name, marker in markers.items()
    ]  # fmt: skip
    _key(axes, handles)


def _memory(axes: Axes, cells: Sequence[Cell], looks: Looks) -> None:
    """Draw memory under load as a wide pale bar, and at rest as a narrow dark one in it."""
    _head(axes, "Memory (PSS), MiB")
    for row, cell in enumerate(cells):
        loaded, idle = (cell.figures.get(metric.name) for metric in (PSS_LOADED, PSS_IDLE))
        if loaded is None or idle is None:
            continue
        colour = looks.of(cell.model).colour
        axes.barh(row, loaded.value, 0.62, color=pale(colour, 0.4 * _strength(cell)))
        axes.barh(row, idle.value, 0.26, color=pale(colour, _strength(cell)))
        reach = max(cell.extreme(PSS_LOADED), cell.extreme(PSS_IDLE))
        axes.annotate(
            cell.write(PSS_LOADED), (reach, row), (6, 0),
            textcoords="offset points", va="center", size=8.5,
        )  # fmt: skip
    _dots(axes, cells, PSS_LOADED, 0.2, size=2.8)
    _zero_based(axes, [c for c in cells if PSS_LOADED.name in c.figures], PSS_LOADED)
    _key(axes, [Patch(color=GREY, label="idle"), Patch(color=GREY, alpha=0.4, label="under load")])


def _key(axes: Axes, handles: Sequence[Line2D | Patch]) -> None:
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 0.995), ncols=len(handles),
        handletextpad=0.3, columnspacing=1.2, handlelength=1.2, borderaxespad=0.1,
    )  # fmt: skip
