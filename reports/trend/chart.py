"""The history of one load: a row of panels per figure, a column per model, runs from the left."""

from __future__ import annotations

__all__ = ["history_chart"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.charts.style import (
    GREY,
    WARNING,
    WIDTH_INCHES,
    new_figure,
    shortened,
    style_of,
    thousands,
)
from reports.trend.history import METRICS, Trend

TOP_INCHES, BOTTOM_INCHES, PANEL_INCHES = 1.15, 0.55, 1.5


def history_chart(trends: Sequence[Trend]) -> Figure:
    """Draw the trends of one scenario at one level; at least one."""
    metrics = list(dict.fromkeys(trend.metric for trend in trends))
    models = list(dict.fromkeys(trend.model for trend in trends))
    entries = {point.number: point.entry for trend in trends for point in trend.points}
    first, last = (entries[pick(entries)].started[:10] for pick in (min, max))
    days = f"1 run, {first}" if len(entries) == 1 else f"{len(entries)} runs, {first} to {last}"
    height = TOP_INCHES + BOTTOM_INCHES + PANEL_INCHES * len(metrics)
    figure = new_figure(
        height,
        f"{trends[0].scenario}: {trends[0].level}: history",
        f"{days}  ·  medians, intervals  ·  grey line: the machine changed"
        "  ·  red line: a change point, as advice",
    )
    panels = figure.subplots(len(metrics), len(models), sharex=True, sharey="row", squeeze=False)
    figure.subplots_adjust(
        left=0.95 / WIDTH_INCHES,
        right=1 - 0.3 / WIDTH_INCHES,
        top=1 - TOP_INCHES / height,
        bottom=BOTTOM_INCHES / height,
        wspace=0.12,
        hspace=0.16,
    )
    for trend in trends:
        _draw(panels[metrics.index(trend.metric)][models.index(trend.model)], trend)
    for column, model in zip(panels.T, models, strict=True):
        column[0].set_title(model, size=10, loc="left")
        column[-1].set_xlabel("run")
        column[-1].set_xlim(min(entries) + 0.4, max(entries) + 1.6)  # runs count from 1
        column[-1].xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    for row, metric in zip(panels, metrics, strict=True):
        unit = METRICS[metric].unit
        row[0].set_ylabel(shortened(f"{METRICS[metric].title}, {unit}", 24), size=8.5)
        row[0].set_ylim(0, 1.12 * row[0].get_ylim()[1])  # room for the words of a change
        row[0].yaxis.set_major_locator(MaxNLocator(4))
        row[0].yaxis.set_major_formatter(FuncFormatter(thousands))
    return figure


def _draw(axes: Axes, trend: Trend) -> None:
    style = style_of(trend.model)
    for number, segment in enumerate(trend.segments):
        at = [point.number + 1 for point in segment]
        values = [point.value for point in segment]
        axes.vlines(
            at, [p.low for p in segment], [p.high for p in segment], color=style.colour, lw=0.8
        )
        axes.plot(at, values, color=style.colour, marker=style.marker, markersize=3, linewidth=1.4)
        if number:
            axes.axvline(at[0] - 0.5, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
    for change in trend.changes():
        at_run = change.point.number + 1
        axes.axvline(at_run - 0.5, color=WARNING, linewidth=1)
        axes.annotate(
            f"{change.share:+.1%}", (at_run - 0.5, 1.0), (2, -2), size=7.5, color=WARNING, va="top",
            xycoords=("data", "axes fraction"), textcoords="offset points",
        )  # fmt: skip
