"""The plane of throughput and latency: each model a curve of p99 against the rate it achieved."""

from __future__ import annotations

__all__ = ["plane"]

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.cells.report import Report
from reports.charts.style import (
    GREY,
    facts,
    log_durations,
    looks_of,
    new_frame,
    thousands,
)
from reports.metrics import P99, THROUGHPUT
from reports.studies.plane import PROMISE_US, achieved, ladders_of_rates
from reports.units import duration

TOP_INCHES, BOTTOM_INCHES = 0.95, 0.6
AXES_INCHES, NAME_INCHES = 6.4, 0.19
"""All models are drawn; with many the figure grows, so that their names find room beside it."""


def plane(report: Report) -> Figure | None:
    """Draw every model of a curve on one chart; None without the study."""
    ladder = next(iter(ladders_of_rates(report)), None)
    if ladder is None:
        return None
    curves = {
        subject: [
            cell
            for cell in ladder.points(subject)
            if P99.name in cell.figures and THROUGHPUT.name in cell.figures
        ]
        for subject in ladder.models
    }
    curves = {subject: cells for subject, cells in curves.items() if cells}
    if not curves:
        return None
    looks = looks_of(report.run)
    frame = new_frame(
        "p99 of the response time against the rate achieved",
        f"{facts(report.run, ladder.workloads[0].asked)}  \u00b7  {ladder.load}  \u00b7  open loops"
        " at 10% to 120% of each model\u2019s capacity  \u00b7  hollow: requests unanswered",
        "",
        top=TOP_INCHES,
        axes=max(AXES_INCHES, NAME_INCHES * len(curves)),
        bottom=BOTTOM_INCHES,
    )
    left, right = frame.across(0.85, 2.3)
    axes = frame.figure.add_axes((left, frame.bottom, right - left, frame.top - frame.bottom))
    values = [cell.figures[P99.name].value for cells in curves.values() for cell in cells]
    log_durations(axes.yaxis, min(values), max(values), wanted=8)
    axes.set_xlim(0, max(achieved(cell) for cells in curves.values() for cell in cells) * 1.04)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_xlabel("requests/s that were answered")
    axes.set_ylabel("p99 of the response time, from the due time, log axis")
    axes.axhline(PROMISE_US, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.annotate(
        duration(PROMISE_US), (0.004, PROMISE_US), xycoords=("axes fraction", "data"), va="bottom",
        size=8, color=GREY,
    )  # fmt: skip
    # The best stand first in the legend. Names at the ends would lead across the whole chart, as
    # the slower a model is the further left its curve ends.
    for subject in sorted(curves, key=lambda each: -max(map(achieved, curves[each]))):
        cells = curves[subject]
        look = looks.of(cells[0].model)
        across = [achieved(cell) for cell in cells]
        up = [cell.figures[P99.name].value for cell in cells]
        axes.plot(
            across, up, color=look.colour, linestyle=look.line, linewidth=1.6, marker=look.marker,
            markersize=6, label=subject,
        )  # fmt: skip
        for x, y, cell in zip(across, up, cells, strict=True):
            if not cell.ranked:
                axes.plot(
                    x, y, marker=look.marker, markersize=6, color=look.colour,
                    markerfacecolor="white",
                )  # fmt: skip
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), handlelength=3.2)
    return frame.figure
