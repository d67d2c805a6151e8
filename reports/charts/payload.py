"""Memory by payload: each model's memory for small and for big requests, by connections."""

from __future__ import annotations

__all__ = ["payload"]

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.cells.report import Report
from reports.cells.workload import Workload
from reports.charts.style import FAINT, INK, Looks, facts, looks_of, new_frame, pale, thousands
from reports.metrics import PSS_LOADED
from reports.studies.memory import Grid, grid_of
from reports.studies.section import cell_at

ROW_INCHES, TOP_INCHES, BOTTOM_INCHES = 0.32, 1.25, 0.6
TICKS = [step * 10**power for power in range(5) for step in (1, 2, 5)]


def payload(report: Report) -> Figure | None:
    """Draw a panel for each number of connections, from the least payload to the greatest."""
    grid = grid_of(report)
    if grid is None:
        return None
    over = sorted({workload.load.connections for workload in grid.workloads})
    subjects = _by_memory(grid)
    if not subjects:
        return None
    looks = looks_of(report.run)
    payloads = [grid.words(each).partition(" x ")[2] for each in grid.workloads]
    frame = new_frame(
        "Memory by payload",
        f"{facts(report.run, grid.workloads[0].asked)}  \u00b7  pale: {payloads[0]}, full:"
        f" {payloads[-1]}  \u00b7  hollow: not ranked",
        "",
        top=TOP_INCHES,
        axes=ROW_INCHES * len(subjects),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(1, len(over), squeeze=False, sharey=True, sharex=True)[0]
    left, right = frame.across(1.9, 0.3)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.08
    )
    for axes, connections in zip(panels, over, strict=True):
        axes.set_title(f"{connections} connections", loc="left", size=10, weight="bold")
        axes.set_xscale("log")
        workloads = [each for each in grid.workloads if each.load.connections == connections]
        _panel(axes, workloads, subjects, looks)
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.set_xlabel("PSS under load, MiB, log axis")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    panels[0].set_ylim(len(subjects) - 0.4, -0.6)
    panels[0].set_yticks(range(len(subjects)), list(subjects))
    return frame.figure


def _by_memory(grid: Grid) -> list[str]:
    """Return all subjects, the one of least memory under the greatest workload first."""
    found: dict[str, float] = {}
    for workload in grid.workloads:
        for cell in workload.cells:
            if PSS_LOADED.name in cell.figures:
                found[cell.subject] = cell.figures[PSS_LOADED.name].value
    return sorted(found, key=found.__getitem__)


def _panel(axes: Axes, workloads: list[Workload], subjects: list[str], looks: Looks) -> None:
    axes.grid(visible=True, axis="x", color=FAINT)
    axes.grid(visible=False, axis="y")
    for row, subject in enumerate(subjects):
        cells = [
            cell
            for workload in workloads
            if (cell := cell_at(workload, subject)) and PSS_LOADED.name in cell.figures
        ]
        if not cells:
            continue
        look = looks.of(cells[0].model)
        values = [cell.figures[PSS_LOADED.name].value for cell in cells]
        axes.plot(values, [row] * len(values), color=pale(look.colour, 0.5), linewidth=2)
        for number, (value, cell) in enumerate(zip(values, cells, strict=True)):
            colour = look.colour if number == len(cells) - 1 else pale(look.colour, 0.45)
            axes.plot(
                value, row, marker=look.marker, markersize=8, color=colour,
                markerfacecolor=colour if cell.ranked else "white",
            )  # fmt: skip
