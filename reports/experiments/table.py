"""The table of an experiment: a line per case, a column per figure. Pure."""

from __future__ import annotations

__all__ = ["Cell", "cases_of", "figures_of", "interpreter_of", "table_of", "who_says"]

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.experiments.finding import Row, write, write_interval
from reports.units import MISSING


class Cell(NamedTuple):
    """A figure as a page shows it; the interval may be empty."""

    words: str
    interval: str


def figures_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the figures, in the order in which they first came."""
    return list(dict.fromkeys(row.figure for row in rows))


def cases_of(rows: Sequence[Row]) -> list[str]:
    """Return the cases, likewise."""
    return list(dict.fromkeys(row.case for row in rows))


def table_of(rows: Sequence[Row]) -> list[tuple[str, list[Cell]]]:
    """Return each case with its cells, in the order of `figures_of`."""
    by_place = {(row.case, row.figure): row for row in rows}
    return [
        (case, [_cell(by_place.get((case, figure))) for figure in figures_of(rows)])
        for case in cases_of(rows)
    ]


def _cell(row: Row | None) -> Cell:
    return Cell(write(row), write_interval(row)) if row else Cell(MISSING, "")


def who_says(section: str) -> str:
    """Return whose claim it is; ours have no section of the course."""
    return f"The course ({section}) says" if section[:1].isdigit() else "We say"


def interpreter_of(identity: Mapping[str, Any]) -> str:
    """Return the measured interpreter in words."""
    names = {"cpython": "CPython", "pypy": "PyPy"}
    kind = str(identity.get("implementation", "Python"))
    words = [names.get(kind.lower(), kind), str(identity.get("python", ""))]
    if identity.get("gil") is False:
        words.append("without a GIL")
    return " ".join(filter(None, words))
