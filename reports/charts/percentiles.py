"""The latency curve of a workload: from the median to the slowest request in ten thousand.

The axis of percentiles is log(1 / (1 - q)): each nine takes the same room, so the tail can be
seen. A curve ends where fewer than ten samples lie above it (docs/method.md), and is dotted from
the first unanswered request on, where it is only a lower bound.
"""

from __future__ import annotations

__all__ = ["TICKS", "curve_of", "percentile_curves"]

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.cells.families import chosen_of
from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    End,
    Look,
    facts,
    label_ends,
    log_durations,
    looks_of,
    new_frame,
    shortened,
)
from reports.histogram import SAMPLES_ABOVE, Histogram, is_supported
from reports.record import Run

TOP_INCHES, AXES_INCHES, BOTTOM_INCHES = 0.8, 4.0, 0.6
TICKS = (50.0, 90.0, 99.0, 99.9, 99.99)
STEPS = 240
NOTE_LETTERS = 24


class Curve(NamedTuple):
    """Latency by percentile of one cell."""

    nines: npt.NDArray[np.float64]  # 1 / (1 - q)
    latency_us: npt.NDArray[np.float64]
    bound_from: int  # the index from which on the latencies are lower bounds


def percentile_curves(run: Run, workload: Workload) -> Figure | None:
    """Draw the latencies of a workload's models; None when nobody has answered enough."""
    cells, left_out = chosen_of(run, workload)
    pairs = [(cell, curve_of(cell.answered, cell.unanswered)) for cell in cells]
    curves = [(cell, curve) for cell, curve in pairs if curve is not None]
    if not curves:
        return None
    looks = looks_of(run)
    frame = new_frame(
        f"{workload.scenario}: {workload.level}: latency from p50 to p99.99",
        f"{facts(run, workload.asked)}  ·  all trials together; "
        f"a curve ends where fewer than {SAMPLES_ABOVE} requests were slower",
        left_out,
        top=TOP_INCHES,
        axes=AXES_INCHES,
        bottom=BOTTOM_INCHES,
    )
    left, right = frame.across(0.95, 2.95)
    axes = frame.figure.add_axes((left, frame.bottom, right - left, frame.top - frame.bottom))
    axes.set_xscale("log")
    axes.set_xlim(_nines(TICKS[0]), _nines(TICKS[-1]))
    axes.set_xticks([_nines(tick) for tick in TICKS], [f"p{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("percentile of requests")
    axes.set_ylabel("latency, log axis")
    lowest = min(float(curve.latency_us[0]) for _, curve in curves)
    # What is only a lower bound leaves the chart at its upper edge, and does not stretch it.
    known = [each.latency_us[: each.bound_from] for _, each in curves if each.bound_from]
    highest = max((float(each[-1]) for each in known), default=lowest) * 1.15
    log_durations(axes.yaxis, lowest, highest, wanted=7)
    ends = [_draw(axes, cell, curve, looks.of(cell.model)) for cell, curve in curves]
    label_ends(frame.figure, axes, ends)
    return frame.figure


def curve_of(answered: Histogram, unanswered: Histogram) -> Curve | None:
    """Return the curve as far as ten samples above allow; None when that is not even p50."""
    merged = Histogram.merge([answered, unanswered])
    count = merged.count
    if not is_supported(TICKS[0], count):
        return None
    last = min(_nines(TICKS[-1]), count / SAMPLES_ABOVE)
    nines = np.geomspace(_nines(TICKS[0]), max(last, _nines(TICKS[0])), STEPS)
    latencies = merged.values_at((100 - 100 / nines).tolist())
    bound = latencies >= unanswered.min() if unanswered.count else np.zeros(STEPS, bool)
    return Curve(nines, latencies / 1e3, int(np.argmax(bound)) if bound.any() else STEPS)


def _draw(axes: Axes, cell: Cell, curve: Curve, style: Look) -> End:
    """Draw one curve, and return where it ends with the label that belongs there."""
    known, bound = slice(curve.bound_from), slice(max(curve.bound_from - 1, 0), None)
    axes.plot(
        curve.nines[known], curve.latency_us[known], color=style.colour, linestyle=style.line,
        linewidth=1.9, marker=style.marker, markevery=(0.03, 0.12), markersize=6.5,
        markeredgecolor="white", markeredgewidth=0.6,
    )  # fmt: skip
    axes.plot(
        curve.nines[bound], curve.latency_us[bound], color=style.colour, linestyle=(0, (0.8, 2.2)),
        linewidth=1.6,
    )  # fmt: skip
    top = axes.get_ylim()[1]
    # A bound that leaves the chart has its name where it does.
    beyond = np.flatnonzero(curve.latency_us > top)
    last = int(beyond[0]) if beyond.size else -1
    end = float(curve.nines[last]), min(float(curve.latency_us[last]), top)
    axes.plot(
        *end, clip_on=False, color=style.colour, marker=style.marker, markersize=6.5,
        markeredgecolor="white",
    )  # fmt: skip
    words = cell.subject + ", at least" * (curve.bound_from < STEPS)
    if cell.notes:
        words += f" ({shortened(cell.notes[0], NOTE_LETTERS)})"
    return End(*end, words, style.colour)


def _nines(percentile: float) -> float:
    """Return 1 / (1 - q): 10 for p90, 100 for p99, and so on."""
    return 100 / (100 - percentile)
