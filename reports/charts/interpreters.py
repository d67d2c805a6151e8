"""Interpreters against the first, one chart per figure: ratios with intervals, model by model.

Panels are loads, rows are models; a line at 1 is the first interpreter. Hollow: no difference may
be claimed.
"""

from __future__ import annotations

__all__ = ["interpreters", "price"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.cells.families import choose, families_of
from reports.cells.interpreters import Against, InterpreterAxis, Matrix
from reports.charts.style import GREY, INK, WARNING, facts, new_frame
from reports.record import Run

COLOURS = ("#0b57a4", "#c2410c", "#2e7d32", "#7b1fa2", "#00838f", "#8d6e00", "#ad1457", "#455a64")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ROW_INCHES, SUB_ROW = 0.24, 0.16
TOP_INCHES, BOTTOM_INCHES, LEFT_INCHES = 1.35, 0.5, 1.5
MOST_PANELS = 6
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
CLOSE_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.7, 2)


def interpreters(run: Run, matrices: Sequence[Matrix]) -> Figure | None:
    """Draw one figure under the loads of `matrices`; None without a single ratio."""
    return _drawn(run, matrices, f"{matrices[0].metric.title}, as a ratio to" if matrices else "")


def price(run: Run, axis: InterpreterAxis) -> Figure | None:
    """Draw what a GIL costs, its end, and what the end costs, each with the figure that shows it.

    None where fewer than two of them were measured.
    """
    return _drawn(run, axis.price, "What a GIL costs, and what its end costs, beside")


def _drawn(run: Run, matrices: Sequence[Matrix], title: str) -> Figure | None:
    shown = [each for each in matrices if any(_ratios(each))][:MOST_PANELS]
    if not shown:
        return None
    families = families_of(run)
    ranked = dict.fromkeys(model for matrix in shown for model in matrix.rows)
    chosen = choose({model: families.get(model, "other") for model in ranked})
    models, others = chosen.subjects, shown[0].others
    rows = len(models) * max(1.0, len(others) * 0.75)
    first = shown[0].interpreters[0] or "the conductor's own"
    is_mixed = len({each.metric.name for each in shown}) > 1
    loads = dict.fromkeys(f"{each.workload.scenario}: {each.workload.level}." for each in shown)
    left_out = len([each for each in matrices if any(_ratios(each))]) - len(shown)
    frame = new_frame(
        f"{title} {first}",
        f"{facts(run, shown[0].workload.asked)}  ·  bars: intervals  ·  hollow: not told apart",
        " ".join(
            [
                chosen.sentence,
                *(loads if is_mixed else ()),
                f"{left_out} more loads are in the tables." if left_out else "",
            ]
        ).strip(),
        top=TOP_INCHES,
        axes=max(1.2, ROW_INCHES * rows),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    left, right = frame.across(LEFT_INCHES, 0.2)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.12
    )
    for axes, matrix in zip(panels, shown, strict=True):
        load = ", ".join(filter(None, [matrix.workload.scenario, _told_apart_by(matrix, shown)]))
        _panel(axes, matrix, models, load + (f": {matrix.metric.title}" if is_mixed else ""))
    panels[0].set_yticks(range(len(models)), models)
    handles = [
        Line2D([], [], color=COLOURS[at % 8], marker=MARKERS[at % 8], linewidth=1.4, label=name)
        for at, name in enumerate(others)
    ]
    frame.figure.legend(
        handles=handles,
        loc="upper right",
        ncols=min(4, len(handles)),
        bbox_to_anchor=(right, 0.995),
    )
    return frame.figure


def _ratios(matrix: Matrix) -> list[Against]:
    return [each for row in matrix.rows.values() for each in row.values() if each.ratio]


def _told_apart_by(matrix: Matrix, shown: Sequence[Matrix]) -> str:
    """Return what of its level the others of its scenario and figure have not; often nothing."""
    others = [
        set(each.workload.level.split(", "))
        for each in shown
        if each is not matrix
        and (each.workload.scenario, each.metric) == (matrix.workload.scenario, matrix.metric)
    ]
    own = matrix.workload.level.split(", ")
    return ", ".join(part for part in own if any(part not in each for each in others))


def _panel(axes: Axes, matrix: Matrix, models: Sequence[str], title: str) -> None:
    axes.set_title(title, loc="left", size=9, weight="bold")
    axes.axvline(1, color=INK, linewidth=0.9)
    step = min(SUB_ROW, 0.8 / len(matrix.others))
    for row, model in enumerate(models):
        for at, name in enumerate(matrix.others):
            against = matrix.rows.get(model, {}).get(name)
            if not against or not against.ratio:
                continue
            ratio, colour = against.ratio, COLOURS[at % len(COLOURS)]
            up = row + (at - (len(matrix.others) - 1) / 2) * step
            axes.plot([ratio.low, ratio.high], [up, up], color=colour, linewidth=1.4)
            axes.plot(
                ratio.value, up, MARKERS[at % len(MARKERS)], color=colour, markersize=5.5,
                markerfacecolor=colour if against.told else "white",
            )  # fmt: skip
            if against.cell.gil_came_back:
                axes.annotate(
                    "GIL on", (ratio.high, up), (4, 0), textcoords="offset points",
                    va="center", size=7, color=WARNING,
                )  # fmt: skip
    bounds = [bound for each in _ratios(matrix) if each.ratio for bound in each.ratio[:3]]
    _across(axes, min([*bounds, 0.9]), max([*bounds, 1.1]))
    axes.set_ylim(len(models) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_color(GREY)


def _across(axes: Axes, low: float, high: float) -> None:
    """Give a panel a log axis of ratios with a few round ticks."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.08, high * 1.08)
    ticks = CLOSE_TICKS if low > 0.45 and high < 2.2 else TICKS
    within = [tick for tick in ticks if low / 1.08 <= tick <= high * 1.08]
    axes.xaxis.set_major_locator(FixedLocator(within[:: 1 + len(within) // 5] or [1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
