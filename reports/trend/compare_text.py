"""A comparison of two results for the terminal and as JSON: a row for each figure."""

from __future__ import annotations

__all__ = ["comparison_json", "comparison_table", "parted", "write"]

from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.trend.compare import Answer, Comparison, Series
from reports.trend.history import TREND_METRICS
from reports.units import duration, number

STYLES = {Answer.WORSE: "bold red", Answer.BETTER: "green", Answer.TOO_FEW: "yellow"}
MICROSECONDS = {"s": 1e6, "us": 1.0}


def comparison_json(
    a: str, b: str, compared: Sequence[Comparison], remarks: Sequence[str]
) -> dict[str, object]:
    """Return JSON-ready values: the two names, what was compared, and the remarks on it."""
    rows = [comparison.to_json() for comparison in compared]
    return {"a": a, "b": b, "compared": rows, "remarks": list(remarks)}


COLUMNS = (("A", 10), ("B", 10), ("B/A", 7), ("interval", 12))
FIGURE_LETTERS = 16
"""Together with what is said of B they take less than 80 columns."""
CAPTION = (
    "A and B: geometric means over trials, of latencies as of all else; a report has medians, and"
    " latencies of all trials together. B/A: their ratio, with its 95% interval."
)


def comparison_table(compared: Sequence[Comparison]) -> RenderableType:
    """Return the table: a row for each figure that both have, below what it is a figure of."""
    if not compared:
        return "the two have nothing in common"
    parts: list[RenderableType] = []
    for of, rows in groupby(compared, key=lambda each: parted(each.name)[0]):
        # A name may be longer than any column: it has a line of its own.
        parts += [Text(of, "bold"), _table(list(rows), headed=not parts)]
    return Group(*parts, Text(CAPTION, "dim"))


def _table(compared: Sequence[Comparison], *, headed: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("figure", width=FIGURE_LETTERS, no_wrap=True)
    for heading, letters in COLUMNS:
        table.add_column(heading, width=letters, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for each in compared:
        known = each.answer is not Answer.TOO_FEW
        table.add_row(
            Text(parted(each.name)[1]),
            write(each.a),
            write(each.b),
            f"{each.ratio:.3f}",
            f"{each.low:.3f} {each.high:.3f}" if known else "",
            Text(str(each.answer), STYLES.get(each.answer, "")),
        )
    return table


def parted(name: str) -> tuple[str, str]:
    """Return what a figure is one of, and the figure; the one of a foreign tool is a time."""
    of, _, figure = name.rpartition("/")
    return (of, figure) if figure in TREND_METRICS else (name, "time")


def write(series: Series) -> str:
    """Return the mean of a figure in words, with its unit where that is short."""
    if series.unit in MICROSECONDS:
        return duration(series.value * MICROSECONDS[series.unit])
    # "requests/s" would not fit, and the figure's name says what it is.
    unit = f" {series.unit}" if len(series.unit) <= 4 else ""
    return f"{number(series.value)}{unit}"
