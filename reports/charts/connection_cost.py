"""What a connection costs each model beyond a server without concurrency: figures and intervals."""

from __future__ import annotations

__all__ = ["connection_cost"]

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.cells.report import Report
from reports.charts.style import FAINT, GREY, INK, facts, looks_of, new_frame, thousands
from reports.studies.connection_cost import BASELINE, NAME, costs_of
from reports.studies.section import named
from reports.units import number

ROW_INCHES, TOP_INCHES, BOTTOM_INCHES = 0.3, 0.95, 0.6
LINEAR_US = 10.0
"""Below it the axis is linear: a difference may be next to nothing, or less."""


def connection_cost(report: Report) -> Figure | None:
    """Draw the CPU per connection of every model, less the baseline's; None without a baseline."""
    for workload in named(report, NAME):
        costs = [cost for cost in costs_of(workload) if cost.beyond and cost.cell.model != BASELINE]
        if costs:
            break
    else:
        return None
    looks = looks_of(report.run)
    frame = new_frame(
        f"CPU of a connection beyond {BASELINE}\u2019s",
        f"{facts(report.run, workload.asked)}  \u00b7  {workload.load.rate:,.0f} connections/s"
        "  \u00b7  median over blocks, line: interval",
        "",
        top=TOP_INCHES,
        axes=ROW_INCHES * len(costs),
        bottom=BOTTOM_INCHES,
    )
    left, right = frame.across(1.9, 1.0)
    axes = frame.figure.add_axes((left, frame.bottom, right - left, frame.top - frame.bottom))
    for row, cost in enumerate(costs):
        assert cost.beyond is not None  # noqa: S101  # those without were left out above
        look = looks.of(cost.cell.model)
        axes.plot((cost.beyond.low, cost.beyond.high), (row, row), color=look.colour, linewidth=2.2)
        axes.plot(cost.beyond.value, row, marker=look.marker, markersize=7, color=look.colour)
        axes.annotate(
            f"{number(cost.beyond.value)} us", (1.01, row), xycoords=("axes fraction", "data"),
            va="center", size=8.5, color=INK,
        )  # fmt: skip
    axes.set_xscale("symlog", linthresh=LINEAR_US)
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_ylim(len(costs) - 0.4, -0.6)
    axes.set_yticks(range(len(costs)), [cost.cell.subject for cost in costs])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=True, axis="x", color=FAINT)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"us of CPU per connection beyond {BASELINE}\u2019s, log axis from 10 on")
    return frame.figure
