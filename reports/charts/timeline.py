"""The time axis of a trial: what each model did in every interval of one window.

One trial per model, the one whose throughput is the median; a column each, all on the same axes.
"""

from __future__ import annotations

__all__ = ["timeline"]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    GREY,
    WARNING,
    WIDTH_INCHES,
    facts,
    log_durations,
    new_figure,
    pale,
    shortened,
    style_of,
    thousands,
)
from reports.histogram import Histogram, is_supported
from reports.metrics import THROUGHPUT
from reports.record import Run
from reports.tally import Tally

Floats = npt.NDArray[np.float64]

TOP_INCHES, BOTTOM_INCHES, PANEL_INCHES = 1.35, 0.55, 1.4
PERCENTILES = (99.0, 50.0)
LINES: dict[float, Any] = {99.0: (0, (2, 1)), 50.0: "-"}
NOTE_LETTERS = 22


class Track(NamedTuple):
    """One trial over its window: figures per interval, at the middle of each."""

    cell: Cell
    seconds: Floats
    per_second: Floats
    latency_us: dict[float, Floats]  # by percentile; nan where an interval has too few samples


def timeline(run: Run, workload: Workload) -> Figure | None:
    """Draw throughput and latency over one window of each model; None without any interval."""
    tracks = [track for cell in workload.cells if (track := track_of(cell))]
    if not tracks:
        return None
    medians = np.concatenate([track.latency_us[50.0] for track in tracks])
    # A row of panels that are mostly empty, because intervals have too few requests, misleads.
    rows = 2 if np.isfinite(medians).mean() > 0.5 else 1
    height = TOP_INCHES + BOTTOM_INCHES + PANEL_INCHES * rows
    figure = new_figure(
        height,
        f"{workload.scenario}: {workload.level}: one trial over time",
        f"{facts(run, workload.asked)}  ·  of each model the trial of median throughput",
    )
    panels = figure.subplots(rows, len(tracks), sharex=True, sharey="row", squeeze=False)
    figure.subplots_adjust(
        left=0.95 / WIDTH_INCHES,
        right=1 - 0.3 / WIDTH_INCHES,
        top=1 - TOP_INCHES / height,
        bottom=BOTTOM_INCHES / height,
        wspace=0.12,
        hspace=0.16,
    )
    for track, column in zip(tracks, panels.T, strict=True):
        _head(column[0], track.cell)
        _throughput(column[0], track)
        if rows == 2:
            _latency(column[1], track)
        column[-1].set_xlabel("seconds")
    _limits(panels[0][0], tracks)
    if rows == 2:
        panels[1][0].set_ylabel("latency, log axis")
        _name_lines(panels[1], tracks)
        latencies = np.concatenate(
            [values for track in tracks for values in track.latency_us.values()]
        )
        log_durations(panels[1][0].yaxis, np.nanmin(latencies), np.nanmax(latencies), wanted=4)
    return figure


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


def _percentiles(kept: Histogram) -> list[float]:
    # Of a copy, which goes again: decoded, the intervals of a run of thirty models are half a GiB.
    latencies = Histogram.encoded(kept.text())
    values = latencies.values_at(PERCENTILES) / 1e3
    count = latencies.count
    return [
        float(value) if is_supported(percentile, count) else float("nan")
        for percentile, value in zip(PERCENTILES, values, strict=True)
    ]


def _head(axes: Axes, cell: Cell) -> None:
    style = style_of(cell.model)
    axes.plot(
        0.04, 1.25, transform=axes.transAxes, marker=style.marker, markersize=7,
        color=style.colour, clip_on=False,
    )  # fmt: skip
    axes.annotate(
        cell.model, (0.04, 1.25), (8, 0), xycoords="axes fraction", textcoords="offset points",
        size=10, va="center",
    )  # fmt: skip
    note = cell.notes[0] if cell.notes else ""
    axes.text(
        0,
        1.08,
        shortened(note, NOTE_LETTERS),
        transform=axes.transAxes,
        size=7.5,
        color=WARNING,
        va="center",
    )


def _throughput(axes: Axes, track: Track) -> None:
    colour = style_of(track.cell.model).colour
    axes.fill_between(track.seconds, track.per_second, color=pale(colour, 0.25), linewidth=0)
    axes.plot(track.seconds, track.per_second, color=colour, linewidth=1.6)


def _latency(axes: Axes, track: Track) -> None:
    colour = style_of(track.cell.model).colour
    for percentile, values in track.latency_us.items():
        axes.plot(track.seconds, values, color=colour, linewidth=1.6, linestyle=LINES[percentile])
    if not any(np.isfinite(values).any() for values in track.latency_us.values()):
        axes.text(0.06, 0.5, "too few requests\nper interval", transform=axes.transAxes, color=GREY)


def _name_lines(panels: Sequence[Axes], tracks: Sequence[Track]) -> None:
    """Name the lines in the one panel that has the most room between them."""
    high, low = PERCENTILES
    gaps = [np.nanmean([0.0, *np.log(t.latency_us[high] / t.latency_us[low])]) for t in tracks]
    widest = int(np.argmax(gaps))
    track = tracks[widest]
    for percentile, offset in ((high, 6), (low, -14)):
        known = np.flatnonzero(np.isfinite(track.latency_us[percentile]))
        if known.size:
            at = (track.seconds[known[0]], track.latency_us[percentile][known[0]])
            panels[widest].annotate(
                f"p{percentile:g}", at, (0, offset), textcoords="offset points", color=GREY
            )


def _limits(axes: Axes, tracks: Sequence[Track]) -> None:
    highest = max(float(track.per_second.max()) for track in tracks)
    axes.set_ylim(0, highest * 1.1 or 1.0)
    axes.set_xlim(0, max(float(track.seconds[-1]) for track in tracks) * 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_ylabel("requests/s")
