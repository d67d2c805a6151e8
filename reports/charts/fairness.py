"""How a model shares itself out: the requests that each connection had answered, as a strip.

One trial per model, the one of median throughput, each connection a tick at its share of the mean:
at 1 all have the same. Jain's index and the connections never served are those of the same trial.
"""

from __future__ import annotations

__all__ = ["fairness"]

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from reports.cells.families import chosen_of
from reports.cells.workload import Cell, Workload
from reports.charts.style import (
    FAINT,
    INK,
    WARNING,
    Look,
    facts,
    looks_of,
    name_rows,
    new_frame,
    thousands,
)
from reports.metrics import JAIN, THROUGHPUT, Trial
from reports.record import Run

Floats = npt.NDArray[np.float64]

TOP_INCHES, BOTTOM_INCHES, ROW_INCHES = 0.95, 0.6, 0.38
NAMES_POINTS = 14  # from the axes to the names
STEPS = 300  # ticks closer than this share of the axis are one
BROADEST = 4.0  # times the mean; a connection beyond stands at the edge, and is counted there


def fairness(run: Run, workload: Workload) -> Figure | None:
    """Draw the shares of all connections; None for one connection, or without any answer."""
    cells, left_out = chosen_of(run, workload)
    looks = looks_of(run)
    rows = [(cell, trial) for cell in cells if (trial := _median_trial(cell))]
    if not rows or workload.load.connections < 2:
        return None
    frame = new_frame(
        f"{workload.scenario}: {workload.level}: requests per connection",
        f"{facts(run, workload.asked)}  ·  of each model the trial of median throughput",
        left_out,
        top=TOP_INCHES,
        axes=ROW_INCHES * len(rows),
        bottom=BOTTOM_INCHES,
    )
    left, right = frame.across(2.2, 3.1)
    axes = frame.figure.add_axes((left, frame.bottom, right - left, frame.top - frame.bottom))
    shares = [_shares(trial) for _, trial in rows]
    most = min(BROADEST, max(2.0, *(float(each.max()) for each in shares))) * 1.04
    axes.set_xlim(-0.02 * most, most)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    name_rows(axes, [cell for cell, _ in rows], looks, NAMES_POINTS)
    axes.xaxis.set_major_locator(MultipleLocator(0.5))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_xlabel("requests of a connection, as a multiple of the mean over all connections")
    axes.axvline(1, color=FAINT, linewidth=1.4)
    for row, ((cell, trial), each) in enumerate(zip(rows, shares, strict=True)):
        _strip(axes, row, trial, each, most, looks.of(cell.model))
    return frame.figure


def _median_trial(cell: Cell) -> Trial | None:
    trials = [trial for trial in cell.trials if trial.served]
    return (
        sorted(trials, key=lambda trial: THROUGHPUT.of(trial) or 0.0)[(len(trials) - 1) // 2]
        if trials
        else None
    )


def _shares(trial: Trial) -> Floats:
    counts = np.asarray(trial.sample.tally.requests_per_connection, float)
    shares: Floats = counts / counts.mean()
    return shares


def _strip(
    axes: Axes,
    row: int,
    trial: Trial,
    shares: Floats,
    most: float,
    look: Look,
) -> None:
    step = most / STEPS
    places = np.unique(np.minimum(shares, most * 0.99) // step) * step
    axes.plot(
        places, np.full(len(places), row), "|", color=look.colour, markersize=11,
        markeredgewidth=1.2,
    )  # fmt: skip
    connections = trial.sample.load.connections
    unserved = connections - trial.served
    beyond = int((shares > most).sum())
    words = f"Jain {JAIN.write(trial.sample.tally.jain())}"
    if unserved:
        words += f", {unserved} of {connections} never served"
    if beyond:
        words += f", {beyond} off the axis"
    axes.annotate(
        words, (1.01, row), xycoords=("axes fraction", "data"), va="center", size=8.5,
        color=WARNING if unserved else INK,
    )  # fmt: skip
