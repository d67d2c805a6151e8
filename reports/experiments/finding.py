"""The record of one experiment: its question, every figure with its interval, and the verdict.

Nothing here imports more than the standard library when a `Row` is all that is wanted: rows are
made in a process that may run under any interpreter.
"""

from __future__ import annotations

__all__ = ["UNITS", "VERDICTS", "Row", "write", "write_interval"]

from collections.abc import Callable, Mapping
from typing import NamedTuple

from reports.units import duration, number

VERDICTS = {
    "holds": "holds",
    "refuted": "does not hold here",
    "untold": "could not be told",
}
"""How a verdict is called, and the words for it."""


class Row(NamedTuple):
    """One figure of one case: the median of its rounds, and the interval about it.

    Of timings within a process the interval is the interquartile range; of whole processes, of
    which there are few, the range. A thing that is counted once has no width.
    """

    case: str  # what was varied: "fork", "8 workers"
    figure: str  # what was measured of it: "start and join"
    unit: str  # one of UNITS
    value: float
    low: float
    high: float
    rounds: int


UNITS: Mapping[str, Callable[[float], str]] = {
    "s": lambda value: duration(value * 1e6),
    "/s": lambda value: f"{number(value)}/s",
    "count": lambda value: f"{value:,.0f}",
    "bytes": lambda value: f"{value:,.0f} B",
    "MiB": lambda value: f"{number(value)} MiB",
    "MiB/s": lambda value: f"{number(value)} MiB/s",
    "share": lambda value: f"{value:.0%}",
    "times": lambda value: f"{number(value)}x",
    "yes": lambda value: "yes" if value else "no",
}
"""By unit, how a figure is written; durations are kept in seconds."""


def write(row: Row) -> str:
    """Return the figure in words."""
    return UNITS[row.unit](row.value)


def write_interval(row: Row) -> str:
    """Return its interval in words; empty where there is none."""
    low, high = UNITS[row.unit](row.low), UNITS[row.unit](row.high)
    return "" if low == high else f"{low} to {high}"
