"""In company: p99 of small requests against the number of connections that keep COMPUTE going."""

from __future__ import annotations

__all__ = ["company"]

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.cells.families import chosen_on
from reports.cells.ladders import Ladder
from reports.cells.report import Report
from reports.charts.style import (
    LINES,
    End,
    Looks,
    facts,
    label_ends,
    log_durations,
    looks_of,
    new_frame,
    room_for,
)
from reports.metrics import P99
from reports.studies.company import ladders_of_company

TOP_INCHES, BOTTOM_INCHES, PANEL_INCHES = 1.2, 0.6, 4.4
GAP = 0.3  # between panels, as a share of one


def company(report: Report) -> Figure | None:
    """Draw a panel for each set of levels that differ in the company only; None without any."""
    ladders = ladders_of_company(report)
    if not ladders:
        return None
    looks = looks_of(report.run)
    chosen = [chosen_on(report.run, ladder) for ladder in ladders]
    frame = new_frame(
        "Small requests in company",
        f"{facts(report.run, ladders[0].workloads[0].asked)}  \u00b7  p99 of the response time,"
        " from the due time  \u00b7  hollow: not ranked",
        next((each.sentence for each in chosen if each.sentence), ""),
        top=TOP_INCHES,
        axes=PANEL_INCHES * len(ladders),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(len(ladders), 1, squeeze=False)[:, 0]
    subjects = (subject for each in chosen for subject in each.subjects)
    left, right = frame.across(0.85, room_for(subjects, 1.9))
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, hspace=GAP
    )
    shown = [
        cell.figures[P99.name].value
        for ladder, each in zip(ladders, chosen, strict=True)
        for subject in each.subjects
        for cell in ladder.points(subject)
        if P99.name in cell.figures
    ]
    for axes, ladder, each in zip(panels, ladders, chosen, strict=True):
        axes.set_title(ladder.load, loc="left", size=10, weight="bold")
        if shown:  # one scale for all panels, which are there to be compared
            log_durations(axes.yaxis, min(shown), max(shown), wanted=7)
        label_ends(frame.figure, axes, _lines(axes, ladder, each.subjects, looks))
    panels[-1].set_xlabel(ladders[0].axis.words)
    return frame.figure


def _lines(axes: Axes, ladder: Ladder, subjects: Sequence[str], looks: Looks) -> list[End]:
    # The numbers of the company stand at equal distances: none is 0 on a log axis.
    places = [rung.load.company for rung in ladder.workloads]
    axes.set_xticks(range(len(places)), [f"{each}" for each in places])
    axes.set_xlim(-0.3, len(places) - 0.7)
    lines = {
        subject: [cell for cell in ladder.points(subject) if P99.name in cell.figures]
        for subject in subjects
    }
    ends = []
    under = list(dict.fromkeys(cell.key.interpreter for cell in ladder.workloads[0].cells))
    for subject, cells in lines.items():
        if not cells:
            continue
        look, name = looks.of(cells[0].model), cells[0].key.interpreter
        # One model under several interpreters has one colour and marker: the line tells which.
        line = LINES[under.index(name) % len(LINES)] if len(under) > 1 else look.line
        across = [places.index(cell.load.company) for cell in cells]
        figures = [cell.figures[P99.name] for cell in cells]
        up = [figure.value for figure in figures]
        axes.plot(across, up, color=look.colour, linestyle=line, linewidth=1.8)
        for x, figure, cell in zip(across, figures, cells, strict=True):
            axes.plot((x, x), (figure.low, figure.high), color=look.colour, linewidth=0.9)
            axes.plot(
                x, figure.value, marker=look.marker, markersize=7, color=look.colour,
                markerfacecolor=look.colour if cell.ranked else "white",
            )  # fmt: skip
        ends.append(End(across[-1], up[-1], subject, look.colour))
    return ends
