"""The time axis of a trial: what each model did in every interval of one window.

One trial per model, the one whose throughput is the median; a row each, all on the same axes.
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

from reports.cells.families import chosen_of
from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    GREY,
    End,
    Look,
    facts,
    label_ends,
    log_durations,
    looks_of,
    name_row,
    new_frame,
    pale,
    shortened,
    thousands,
)
from reports.histogram import Histogram, is_supported
from reports.metrics import THROUGHPUT
from reports.record import Run
from reports.tally import Tally

Floats = npt.NDArray[np.float64]

TOP_INCHES, ROW_INCHES, BOTTOM_INCHES = 1.05, 0.62, 0.55
LEFT_INCHES, RIGHT_INCHES = 2.6, 0.55
PERCENTILES = (99.0, 50.0)
LINES: dict[float, Any] = {99.0: (0, (2, 1)), 50.0: "-"}
NOTE_LETTERS = 30


class Track(NamedTuple):
    """One trial over its window: figures per interval, at the middle of each."""

    cell: Cell
    seconds: Floats
    per_second: Floats
    latency_us: dict[float, Floats]  # by percentile; nan where an interval has too few samples


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
    panels = frame.figure.subplots(len(tracks), columns, sharex=True, sharey="col", squeeze=False)
    left, right = frame.across(LEFT_INCHES, RIGHT_INCHES)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.16, hspace=0.22
    )
    for track, row in zip(tracks, panels, strict=True):
        look = looks.of(track.cell.model)
        notes = track.cell.notes
        note = shortened(notes[0], NOTE_LETTERS) if notes else ""
        name_row(row[0], track.cell.subject, look, note)
        _throughput(row[0], track, look)
        if columns == 2:
            _latency(row[1], track, look)
    for axes in panels[-1]:
        axes.set_xlabel("seconds")
    _limits(panels[0][0], tracks)
    if columns == 2:
        latencies = [values for track in tracks for values in track.latency_us.values()]
        known = np.concatenate(latencies)
        panels[0][1].set_title("Latency, log axis", loc="left", size=10, weight="bold")
        log_durations(panels[0][1].yaxis, np.nanmin(known), np.nanmax(known), wanted=2.5)
        _name_lines(frame.figure, [row[1] for row in panels], tracks)
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


def _percentiles(kept: Histogram) -> list[float]:
    # Of a copy, which goes again: decoded, the intervals of a run of thirty models are half a GiB.
    latencies = Histogram.encoded(kept.text())
    values = latencies.values_at(PERCENTILES) / 1e3
    count = latencies.count
    return [
        float(value) if is_supported(percentile, count) else float("nan")
        for percentile, value in zip(PERCENTILES, values, strict=True)
    ]


def _throughput(axes: Axes, track: Track, look: Look) -> None:
    axes.fill_between(track.seconds, track.per_second, color=pale(look.colour, 0.25), linewidth=0)
    axes.plot(track.seconds, track.per_second, color=look.colour, linewidth=1.6)


def _latency(axes: Axes, track: Track, look: Look) -> None:
    for percentile, values in track.latency_us.items():
        axes.plot(
            track.seconds, values, color=look.colour, linewidth=1.6, linestyle=LINES[percentile]
        )
    if not any(np.isfinite(values).any() for values in track.latency_us.values()):
        axes.text(
            0.02, 0.5, "too few requests per interval", transform=axes.transAxes, color=GREY,
            va="center",
        )  # fmt: skip


def _name_lines(figure: Figure, panels: Sequence[Axes], tracks: Sequence[Track]) -> None:
    """Name the lines where they end, in each panel; a panel may have but one of them."""
    for axes, track in zip(panels, tracks, strict=True):
        ends = []
        for percentile, values in track.latency_us.items():
            known = np.flatnonzero(np.isfinite(values))
            if known.size:
                at = float(track.seconds[known[-1]]), float(values[known[-1]])
                ends.append(End(*at, f"p{percentile:g}", GREY))
        label_ends(figure, axes, ends, gap_points=10)


def _limits(axes: Axes, tracks: Sequence[Track]) -> None:
    highest = max(float(track.per_second.max()) for track in tracks)
    axes.set_ylim(0, highest * 1.1 or 1.0)
    axes.set_xlim(0, max(float(track.seconds[-1]) for track in tracks) * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_title("Throughput, requests/s", loc="left", size=10, weight="bold")
