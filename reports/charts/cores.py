"""Speed-up over CPUs: what is computed on more of them, against as many times as there are more."""

from __future__ import annotations

__all__ = ["cores"]

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.cells.families import chosen_on
from reports.cells.report import Report
from reports.charts.style import (
    GREY,
    LINES,
    End,
    facts,
    label_ends,
    looks_of,
    new_frame,
    room_for,
    thousands,
)
from reports.studies.cores import cpus_of, ladder_of, speed_ups
from reports.studies.section import subjects_of

TOP_INCHES, AXES_INCHES, BOTTOM_INCHES = 1.2, 4.6, 0.6


def cores(report: Report) -> Figure | None:
    """Draw the speed-up of each model, under each interpreter; None without the study."""
    ladder = ladder_of(report)
    if ladder is None:
        return None
    run, looks, chosen = report.run, looks_of(report.run), chosen_on(report.run, ladder)
    ups = {subject: speed_ups(ladder, subject) for subject in chosen.subjects}
    unranked = ", ".join(
        subject for subject, found in ups.items() if len(found) < len(ladder.workloads)
    )
    frame = new_frame(
        "Scaling over cores",
        f"{facts(run, ladder.workloads[0].asked)}  \u00b7  ratios within blocks to the throughput"
        " on the fewest CPUs; bars: intervals",
        " ".join(filter(None, [chosen.sentence, unranked and f"Not ranked on all: {unranked}."])),
        top=TOP_INCHES,
        axes=AXES_INCHES,
        bottom=BOTTOM_INCHES,
    )
    axes = frame.figure.subplots()
    left, right = frame.across(0.85, room_for(chosen.subjects, 2.6))
    frame.figure.subplots_adjust(left=left, right=right, top=frame.top, bottom=frame.bottom)
    rungs = cpus_of(ladder)
    ideal = [cpus / rungs[0] for cpus in rungs]
    axes.plot(rungs, ideal, color=GREY, linestyle=":", linewidth=1.4)
    ends = [End(rungs[-1], ideal[-1], "ideal", GREY)]
    models = subjects_of(ladder.workloads)
    under = list(dict.fromkeys(each.key.interpreter for each in ladder.workloads[0].cells))
    names = {cell.subject: cell.key.interpreter for rung in ladder.workloads for cell in rung.cells}
    for subject, found in ups.items():
        if not found:
            continue
        look = looks.of(models[subject])
        # One model under several interpreters has one colour and marker: the line tells which.
        known = names[subject] in under
        line = LINES[under.index(names[subject]) % len(LINES)] if known else look.line
        up = [ratio.value for ratio in found.values()]
        axes.plot(list(found), up, color=look.colour, linestyle=line, linewidth=1.8,
                  marker=look.marker, markersize=6)  # fmt: skip
        for cpus, ratio in found.items():
            axes.plot((cpus, cpus), (ratio.low, ratio.high), color=look.colour, linewidth=0.9)
        ends.append(End(max(found), found[max(found)].value, subject, look.colour))
    for axis, places in ((axes.xaxis, [float(cpus) for cpus in rungs]), (axes.yaxis, ideal)):
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(FixedLocator(places))
        axis.set_major_formatter(FuncFormatter(thousands))
    axes.set_title(ladder.load, loc="left", size=10, weight="bold")
    axes.set_xlabel(ladder.axis.words)
    axes.set_ylabel("times as much")
    label_ends(frame.figure, axes, ends)
    return frame.figure
