"""How every model scales with connections: a row of small charts for each family."""

from __future__ import annotations

__all__ = ["small_multiples"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from reports.cells.families import OTHER, families_of
from reports.cells.ladders import Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.charts.style import (
    FAINT,
    End,
    Looks,
    facts,
    label_ends,
    log_durations,
    looks_of,
    new_frame,
    thousands,
)
from reports.metrics import CPU, P99, THROUGHPUT, Metric
from reports.studies.scaling import ladder_of

PANELS: Sequence[tuple[str, Metric]] = (
    ("Throughput, requests/s", THROUGHPUT),
    ("Latency p99, log axis", P99),
    ("CPU per request, us", CPU),
)
TOP_INCHES, BOTTOM_INCHES, ROW_INCHES = 1.1, 0.5, 1.9
NAME_INCHES = 0.17  # of a label at the end of a line


def small_multiples(report: Report) -> Figure | None:
    """Draw a row for each family, all other models pale behind; None without the study."""
    ladder = ladder_of(report)
    if ladder is None:
        return None
    families = families_of(report.run)
    members: dict[str, list[str]] = {}
    for rung in ladder.workloads:
        for cell in rung.cells:
            row = members.setdefault(families.get(cell.model, OTHER), [])
            if cell.subject not in row:
                row.append(cell.subject)
    # A row is as high as its names take that stand at the ends of its lines.
    heights = [max(ROW_INCHES, NAME_INCHES * len(each) + 0.8) for each in members.values()]
    frame = new_frame(
        "Scaling, a family in each row",
        # The facts of one connection alone have more to say, of what is not shown here.
        f"{facts(report.run, ladder.workloads[-1].asked)}  \u00b7  {ladder.load}  \u00b7  grey: all"
        " others  \u00b7  hollow: not ranked",
        "",
        top=TOP_INCHES,
        axes=sum(heights),
        bottom=BOTTOM_INCHES,
    )
    grid = frame.figure.subplots(
        len(members), len(PANELS), squeeze=False, sharex=True, sharey="col", height_ratios=heights
    )
    left, right = frame.across(0.85, 1.95)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.22, hspace=0.32
    )
    looks = looks_of(report.run)
    for column, (title, metric) in enumerate(PANELS):
        lines = {
            subject: [cell for cell in ladder.points(subject) if metric.name in cell.figures]
            for subject in ladder.models
        }
        for axes in grid[:, column]:
            _axes(axes, ladder, metric, lines)
        for axes, (family, subjects) in zip(grid[:, column], members.items(), strict=True):
            words = f"{family}: {title}" if column == 0 else title
            axes.set_title(words, loc="left", size=9, weight="bold" if column == 0 else "normal")
            ends = _lines(axes, ladder, metric, lines, subjects, looks)
            if column == len(PANELS) - 1:
                label_ends(frame.figure, axes, ends, gap_points=10.5)
    for axes in grid[-1]:
        axes.set_xlabel("connections")
    return frame.figure


def _axes(axes: Axes, ladder: Ladder, metric: Metric, lines: dict[str, list[Cell]]) -> None:
    places = [ladder.at(rung.cells[0]) for rung in ladder.workloads]
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.3, places[-1] * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelbottom=True, labelleft=True, labelsize=7.5)
    values = [cell.figures[metric.name].value for cells in lines.values() for cell in cells]
    if not values:
        return
    if metric.latency:
        log_durations(axes.yaxis, min(values), max(values), wanted=4)
    else:
        axes.set_ylim(0, max(values) * 1.08 or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(thousands))


def _lines(
    axes: Axes,
    ladder: Ladder,
    metric: Metric,
    lines: dict[str, list[Cell]],
    subjects: Sequence[str],
    looks: Looks,
) -> list[End]:
    """Draw every model, those of the family on top, and return where theirs end."""
    ends = []
    for subject in sorted(lines, key=lambda each: each in subjects):
        cells = lines[subject]
        if not cells:
            continue
        across = [ladder.at(cell) for cell in cells]
        up = [cell.figures[metric.name].value for cell in cells]
        if subject not in subjects:
            axes.plot(across, up, color=FAINT, linewidth=0.9, zorder=1)
            continue
        look = looks.of(cells[0].model)
        axes.plot(across, up, color=look.colour, linestyle=look.line, linewidth=1.5, zorder=2)
        for x, y, cell in zip(across, up, cells, strict=True):
            axes.plot(
                x, y, marker=look.marker, markersize=5, color=look.colour, zorder=3,
                markerfacecolor=look.colour if cell.ranked else "white",
            )  # fmt: skip
        ends.append(End(across[-1], up[-1], subject, look.colour))
    return ends
