"""The chart of an experiment: a dot and an interval for every case, a colour for every figure."""

from __future__ import annotations

__all__ = ["chart"]

from collections.abc import Sequence
from textwrap import fill

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.charts.style import GREY, INK, RC, log_durations, new_frame, shortened
from reports.experiments.finding import UNITS, Row, write
from reports.experiments.record import Finding
from reports.experiments.table import cases_of, figures_of, interpreter_of

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
ROW_INCHES = 0.34
LOG_FROM = 20  # between the least and the greatest: below this a linear axis shows more
CASE_LETTERS = 36  # of a line
CASE_LINES = 2
APART = 0.2  # between the figures of a case, as a share of its row
TICKS = 7
WHOLE = {"count", "bytes"}  # units in which there are no halves
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SCALES = dict.fromkeys(UNITS, 1.0) | {"s": 1e6}
"""Durations are drawn in microseconds, as the axes of all charts are."""


def chart(finding: Finding) -> Figure | None:
    """Draw the figures that have the first row's unit; None where there are none."""
    if not finding.rows:
        return None
    unit = finding.rows[0].unit
    rows = [row for row in finding.rows if row.unit == unit]
    cases, figures = cases_of(rows), figures_of(rows)
    started = finding.started[:16].replace("T", " ")
    with rc_context(RC):
        frame = new_frame(
            f"{finding.name}: {shortened(', '.join(figures), 70)}",
            f"{started} UTC  ·  {interpreter_of(finding.interpreter)}  ·  effort {finding.effort}"
            + ("  ·  log axis" if _is_logarithmic(rows, unit) else ""),
            "",
            top=1.05,
            axes=max(1.0, ROW_INCHES * len(cases)),
            bottom=0.55,
        )
        axes = frame.figure.add_axes((0.25, frame.bottom, 0.68, frame.top - frame.bottom))
        _draw(axes, rows, cases, figures)
        _scale(axes, rows, unit)
        if len(figures) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(4, len(figures)))
    return frame.figure


def _draw(axes: Axes, rows: Sequence[Row], cases: Sequence[str], figures: Sequence[str]) -> None:
    for number, figure in enumerate(figures):
        chosen = [row for row in rows if row.figure == figure]
        # Figures of a case stand under each other, or one would hide the other.
        aside = (number - (len(figures) - 1) / 2) * APART
        places = [cases.index(row.case) + aside for row in chosen]
        # Figures may have been read from a file: an interval need not hold its value.
        axes.errorbar(
            [row.value * SCALES[row.unit] for row in chosen],
            places,
            xerr=[
                [max(0.0, row.value - row.low) * SCALES[row.unit] for row in chosen],
                [max(0.0, row.high - row.value) * SCALES[row.unit] for row in chosen],
            ],
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=6,
            elinewidth=1.6,
            capsize=3,
            label=shortened(figure, 40),
        )
        for row, place in zip(chosen, places, strict=True) if len(figures) == 1 else ():
            axes.annotate(
                write(row), (row.high * SCALES[row.unit], place), (8, 0),
                textcoords="offset points", va="center", size=8, color=GREY,
            )  # fmt: skip
    names = [fill(shortened(case, CASE_LETTERS * CASE_LINES), CASE_LETTERS) for case in cases]
    axes.set_yticks(range(len(cases)), names, linespacing=1.0)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")


def _scale(axes: Axes, rows: Sequence[Row], unit: str) -> None:
    """Choose a linear axis from zero, or a logarithmic one where the figures lie far apart."""
    scale = SCALES[unit]
    least, greatest = min(row.value for row in rows), max(row.high for row in rows)
    apart = _is_logarithmic(rows, unit)
    if apart and unit == "s":
        low = min(row.low for row in rows if row.low > 0)
        log_durations(axes.xaxis, low * scale, greatest * scale * 1.6, TICKS)
        return
    if apart and least <= 0:  # counts: none has its place beside one
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(-0.1, greatest * 2.5)
    elif apart:
        axes.set_xscale("log")
        axes.set_xlim(least / 1.5, greatest * 2.5)
    else:
        _linear(axes, rows, unit)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: UNITS[unit](value / scale)))


def _is_logarithmic(rows: Sequence[Row], unit: str) -> bool:
    """Whether figures lie so far apart that a linear axis would show the greatest only."""
    values = [row.value for row in rows]
    if unit in ("yes", "share") or (min(values) <= 0 and unit not in WHOLE):
        return False
    above = [value for value in values if value > 0]
    return (
        bool(above) and min(values) >= 0 and max(row.high for row in rows) / min(above) >= LOG_FROM
    )


def _linear(axes: Axes, rows: Sequence[Row], unit: str) -> None:
    """Give a linear axis its limits, and ticks whose words say no more than the figures can be."""
    least, greatest = min(row.low for row in rows), max(row.high for row in rows)
    span = (greatest - min(0.0, least)) * SCALES[unit] or 1.0
    # A timer may be early: what is below zero is drawn. A dot on the edge would be cut in half.
    axes.set_xlim(
        min(0.0, least) * SCALES[unit] - span * 0.02, greatest * SCALES[unit] + span * 0.2
    )
    if unit == "yes":
        axes.xaxis.set_major_locator(FixedLocator([0, 1]))
    elif unit == "share" and SHARES[2] <= greatest <= 1:  # nothing is 120% of all
        axes.xaxis.set_major_locator(FixedLocator(SHARES))
    elif unit in WHOLE:
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
