"""A comparison of two results for the terminal and as JSON: a row for each figure."""

from __future__ import annotations

__all__ = ["comparison_json", "comparison_table"]

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from reports.trend.compare import Answer, Comparison, Series
from reports.units import duration, number

STYLES = {Answer.WORSE: "bold red", Answer.BETTER: "green", Answer.TOO_FEW: "yellow"}
MICROSECONDS = {"s": 1e6, "us": 1.0}


def comparison_json(
    a: str, b: str, compared: Sequence[Comparison], remarks: Sequence[str]
) -> dict[str, object]:
    """Return JSON-ready values: the two names, what was compared, and the remarks on it."""
    rows = [comparison.to_json() for comparison in compared]
    return {"a": a, "b": b, "compared": rows, "remarks": list(remarks)}


def comparison_table(compared: Sequence[Comparison]) -> RenderableType:
    """Return the table: a row for each figure that both have."""
    if not compared:
        return "the two have nothing in common"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("figure", overflow="fold")
    for heading in ("A", "B", "B/A", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for each in compared:
        known = each.answer is not Answer.TOO_FEW
        table.add_row(
            Text(each.name),
            _write(each.a),
            _write(each.b),
            f"{each.ratio:.3f}",
            f"{each.low:.3f} {each.high:.3f}" if known else "",
            Text(str(each.answer), STYLES.get(each.answer, "")),
        )
    return table


def _write(series: Series) -> str:
    if series.unit in MICROSECONDS:
        return duration(series.value * MICROSECONDS[series.unit])
    # "requests/s" would not fit, and the figure's name says what it is.
    unit = f" {series.unit}" if len(series.unit) <= 4 else ""
    return f"{number(series.value)}{unit}"
