"""Figures that were made up, for verdict rules to judge."""

from __future__ import annotations

from importlib import import_module

from bench.experiments.registry import find
from bench.experiments.rules import verdict_of
from reports.experiments.finding import Row

Figure = float | tuple[float, float]
"""A value that every round had, or the bounds of an interval."""
Figures = dict[tuple[str, str], Figure]
"""By case and figure."""


def rows_of(figures: Figures, unit: str = "s") -> list[Row]:
    """Return the rows of some figures; the median lies in the middle of an interval."""
    rows = []
    for (case, figure), found in figures.items():
        low, high = found if isinstance(found, tuple) else (found, found)
        rows.append(Row(case, figure, unit, (low + high) / 2, low, high, 5))
    return rows


def verdict(name: str, figures: Figures) -> str:
    """Return what the rule of an experiment says of figures."""
    return verdict_of(import_module(find(name).module).judge, rows_of(figures)).verdict
