"""The history of one load: a row of panels per model, a column per figure, runs from the left."""

from __future__ import annotations

__all__ = ["history_chart", "write_charts"]

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.cells.families import OTHER, choose
from reports.charts.gallery import slug
from reports.charts.style import (
    GREY,
    RC,
    WARNING,
    Look,
    Looks,
    Place,
    name_row,
    new_frame,
    render,
    shortened,
    thousands,
)
from reports.files import replace_whole
from reports.store import disk_errors
from reports.trend.history import TREND_METRICS, Trend

TOP_INCHES, ROW_INCHES, BOTTOM_INCHES = 1.05, 0.72, 0.55
LEFT_INCHES, RIGHT_INCHES = 2.6, 0.3
NAMES_POINTS = 58  # from the axes to the names, past the numbers of the axis
TITLE_LETTERS = 60


def write_charts(trends: Sequence[Trend], families: Mapping[str, str], folder: Path) -> list[Path]:
    """Write a chart of each load, as PNG and SVG, and return where; StoreError.

    `families` as of `history_chart`.
    """
    paths = []
    loads = sorted(trends, key=lambda trend: (trend.scenario, trend.level))
    for (scenario, level), group in groupby(loads, lambda trend: (trend.scenario, trend.level)):
        name = slug("history", scenario, level)
        with rc_context(RC):
            images = render(history_chart(list(group), families), name)
        for kind, image in images.items():
            paths.append(folder / f"{name}.{kind}")
            with disk_errors(f"write {paths[-1]}"):
                folder.mkdir(parents=True, exist_ok=True)
                replace_whole(paths[-1], image)
    return paths


def history_chart(trends: Sequence[Trend], families: Mapping[str, str]) -> Figure:
    """Draw the trends of one scenario at one level; at least one.

    `families` has the family of every model that is known; see `Run.families`.
    """
    metrics = list(dict.fromkeys(trend.metric for trend in trends))
    ranking = _ranking(trends, metrics[0])
    chosen = choose({model: families.get(model, OTHER) for model in ranking})
    entries = {point.number: point.entry for trend in trends for point in trend.points}
    first, last = (entries[pick(entries)].started[:10] for pick in (min, max))
    days = f"1 run, {first}" if len(entries) == 1 else f"{len(entries)} runs, {first} to {last}"
    frame = new_frame(
        f"{trends[0].scenario}: {trends[0].level}: history",
        f"{days}  ·  medians, intervals  ·  grey line: the machine changed"
        "  ·  red line: a change point, as advice",
        chosen.sentence,
        top=TOP_INCHES,
        axes=ROW_INCHES * len(chosen.subjects),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(
        len(chosen.subjects), len(metrics), sharex=True, sharey="col", squeeze=False
    )
    left, right = frame.across(LEFT_INCHES, RIGHT_INCHES)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.2, hspace=0.24
    )
    known = dict.fromkeys((trend.model for trend in trends), OTHER)
    looks = Looks({**families, **{m: f for m, f in known.items() if m not in families}})
    for trend in trends:
        if trend.model in chosen.subjects:
            row = panels[chosen.subjects.index(trend.model)]
            _draw(row[metrics.index(trend.metric)], trend, looks.of(trend.model))
    for model, row in zip(chosen.subjects, panels, strict=True):
        place = Place(0.5, row[0].transAxes, NAMES_POINTS)
        name_row(row[0], model, looks.of(model), place)
    for metric, axes in zip(metrics, panels[0], strict=True):
        title = f"{TREND_METRICS[metric].title}, {TREND_METRICS[metric].unit}"
        axes.set_title(shortened(title, TITLE_LETTERS), size=10, loc="left", weight="bold")
        axes.set_ylim(0, 1.12 * axes.get_ylim()[1])  # room for the words of a change
        axes.yaxis.set_major_locator(MaxNLocator(2))
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    for axes in panels[-1]:
        axes.set_xlabel("run")
        axes.set_xlim(min(entries) + 0.4, max(entries) + 1.6)  # runs count from 1
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    return frame.figure


def _ranking(trends: Sequence[Trend], metric: str) -> list[str]:
    """Return the models by their last figure, best first; last, those that have none."""
    sign = -1 if TREND_METRICS[metric].more_is_better else 1
    last = {
        trend.model: sign * trend.points[-1].value for trend in trends if trend.metric == metric
    }
    models = dict.fromkeys(trend.model for trend in trends)
    return sorted(models, key=lambda model: last.get(model, math.inf))


def _draw(axes: Axes, trend: Trend, style: Look) -> None:
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
