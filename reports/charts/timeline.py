"""The time axis of a trial: what each model did in every interval of one window.

One trial per model, the one whose throughput is the median; a row each. All rows of a column share
one pair of axes, each a strip of it with its own zero: axes are what a chart takes longest for.
"""

from __future__ import annotations

__all__ = ["timeline", "track_of"]

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.cells.families import chosen_of
from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    FAINT,
    GREY,
    End,
    Looks,
    duration_tick,
    duration_ticks,
    facts,
    label_ends,
    looks_of,
    name_rows,
    new_frame,
    pale,
    shifted,
    thousands,
)
from reports.histogram import Histogram, is_supported
from reports.metrics import THROUGHPUT
from reports.record import Run
from reports.tally import Tally

Floats = npt.NDArray[np.float64]

TOP_INCHES, ROW_INCHES, BOTTOM_INCHES = 1.05, 0.62, 0.55
LEFT_INCHES, RIGHT_INCHES = 2.6, 0.55
MOST_TICKS_GAP = 0.3  # of the height of a strip: closer, their words would meet
STRIP = 0.84  # of a row's height
NAMES_POINTS = 58  # from the axes to the names, past the numbers of the axis
PERCENTILES = (99.0, 50.0)
LINES: Mapping[float, Any] = {99.0: (0, (2, 1)), 50.0: "-"}


class Track(NamedTuple):
    """One trial over its window: figures per interval, at the middle of each."""

    cell: Cell
    seconds: Floats
    per_second: Floats
    latency_us: dict[float, Floats]  # by percentile; nan where an interval has too few samples


class Strips(NamedTuple):
    """A column of rows, one below the other, in which the same figures stand equally high."""

    axes: Axes
    low: float
    high: float

    def at(self, row: int, figures: float | Floats) -> Any:
        """Return where figures stand on the axes: rows go down, and in each figures go up."""
        return row + 1 - STRIP * (figures - self.low) / (self.high - self.low)

    def scale(self, rows: int, ticks: Mapping[float, str]) -> None:
        """Draw the lines and the words of the ticks in every row."""
        places = [
            (self.at(row, tick), words) for row in range(rows) for tick, words in ticks.items()
        ]
        across = self.axes.get_yaxis_transform()
        for colour, ys in ((FAINT, [y for y, _ in places]), (GREY, range(1, rows + 1))):
            self.axes.add_collection(
                LineCollection(
                    [[(0, y), (1, y)] for y in ys], colors=colour, linewidths=0.6,
                    transform=across, zorder=0.5,
                ),
                autolim=False,
            )  # fmt: skip
        for y, words in places:
            self.axes.text(
                0, y, words, transform=shifted(self.axes, across, -6), ha="right", va="center"
            )


def timeline(run: Run, workload: Workload) -> Figure | None:
    """Draw throughput and latency over one window of each model; None without any interval."""
    cells, left_out = chosen_of(run, workload)
    tracks = [track for cell in cells if (track := track_of(cell))]
    if not tracks:
        return None
    looks = looks_of(run)
    medians = np.concatenate([track.latency_us[50.0] for track in tracks])
    # A column of panels that are mostly empty, because intervals have too few requests, misleads.
    columns = 2 if np.isfinite(medians).mean() > 0.5 else 1
    frame = new_frame(
        f"{workload.scenario}: {workload.level}: one trial over time",
        f"{facts(run, workload.asked)}  ·  of each model the trial of median throughput",
        left_out,
        top=TOP_INCHES,
        axes=ROW_INCHES * len(tracks),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(1, columns, squeeze=False)[0]
    left, right = frame.across(LEFT_INCHES, RIGHT_INCHES)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.16
    )
    seconds = max(float(track.seconds[-1]) for track in tracks) * 1.03
    for axes in panels:
        axes.set_xlim(0, seconds)
        axes.set_ylim(len(tracks), 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel("seconds")
    _throughput(panels[0], tracks, looks)
    name_rows(panels[0], [track.cell for track in tracks], looks, NAMES_POINTS, middle=0.5)
    if columns == 2:
        _latency(frame.figure, panels[1], tracks, looks)
    return frame.figure


def track_of(cell: Cell) -> Track | None:
    """Return the trial of median throughput over time; None when no trial has intervals."""
    trials = [trial for trial in cell.trials if trial.sample.tally.interval_requests]
    if not trials:
        return None
    by_throughput = sorted(trials, key=lambda trial: THROUGHPUT.of(trial) or 0.0)
    tally = by_throughput[(len(trials) - 1) // 2].sample.tally
    edges = _edges(tally)
    latency_us = np.array([_percentiles(each) for each in tally.interval_latencies])
    return Track(
        cell,
        seconds=(edges[:-1] + edges[1:]) / 2,
        per_second=np.asarray(tally.interval_requests) / np.diff(edges),
        latency_us=dict(zip(PERCENTILES, latency_us.T, strict=True)),
    )


def _edges(tally: Tally) -> Floats:
    """Return where the intervals begin and end; the last is short when the window ends in it."""
    edges = tally.interval_seconds * np.arange(len(tally.interval_requests) + 1.0)
    edges[-1] = min(edges[-1], tally.seconds)
    return edges


def _percentiles(latencies: Histogram) -> list[float]:
    values = latencies.values_at(PERCENTILES) / 1e3
    count = latencies.count
    return [
        float(value) if is_supported(percentile, count) else float("nan")
        for percentile, value in zip(PERCENTILES, values, strict=True)
    ]


def _throughput(axes: Axes, tracks: Sequence[Track], looks: Looks) -> None:
    axes.set_title("Throughput, requests/s", loc="left", size=10, weight="bold")
    highest = max(float(track.per_second.max()) for track in tracks) or 1.0
    strips = Strips(axes, 0.0, highest)
    for row, track in enumerate(tracks):
        colour, up = looks.of(track.cell.model).colour, strips.at(row, track.per_second)
        axes.fill_between(track.seconds, up, row + 1, color=pale(colour, 0.25), linewidth=0)
        axes.plot(track.seconds, up, color=colour, linewidth=1.6)
    ticks = [tick for tick in MaxNLocator(2).tick_values(0, highest) if tick <= highest * 1.05]
    strips.scale(len(tracks), {tick: thousands(tick, 0) for tick in ticks})


def _latency(figure: Figure, axes: Axes, tracks: Sequence[Track], looks: Looks) -> None:
    axes.set_title("Latency, log axis", loc="left", size=10, weight="bold")
    known = np.concatenate([values for track in tracks for values in track.latency_us.values()])
    low, high = float(np.nanmin(known)) / 1.15, float(np.nanmax(known)) * 1.05
    strips = Strips(axes, float(np.log(low)), float(np.log(high)))
    ends = []
    for row, track in enumerate(tracks):
        colour = looks.of(track.cell.model).colour
        for percentile, values in track.latency_us.items():
            up = strips.at(row, np.log(values))
            axes.plot(track.seconds, up, color=colour, linewidth=1.6, linestyle=LINES[percentile])
            if (there := np.flatnonzero(np.isfinite(values))).size:
                at = float(track.seconds[there[-1]]), float(up[there[-1]])
                ends.append(End(*at, f"p{percentile:g}", GREY))
        if not np.isfinite(np.concatenate([*track.latency_us.values()])).any():
            axes.text(
                0.02, row + 0.5, "too few requests per interval", color=GREY, va="center",
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
    ticks = duration_ticks(low, high, wanted=2.0)
    gap = MOST_TICKS_GAP * math.log(high / low)
    ticks = [
        tick
        for place, tick in enumerate(ticks)
        if not place or math.log(tick / ticks[place - 1]) >= gap
    ]
    strips.scale(len(tracks), {float(np.log(tick)): duration_tick(tick) for tick in ticks})
    label_ends(figure, axes, ends, gap_points=10)
