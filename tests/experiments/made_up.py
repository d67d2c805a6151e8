"""Figures that were made up, for verdict rules to judge."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import pytest

from bench.experiments.registry import find
from bench.experiments.rules import verdict_of
from reports.experiments.finding import Row

Figure = float | tuple[float, float]
"""A value that every round had, or the bounds of an interval."""
Figures = Mapping[tuple[str, str], Figure]
"""By case and figure; the first figure is the one that a rule means when it names none."""


def rows_of(figures: Figures) -> list[Row]:
    """Return the rows of some figures; the median lies in the middle of an interval."""
    rows = []
    for (case, figure), found in figures.items():
        low, high = found if isinstance(found, tuple) else (found, found)
        rows.append(Row(case, figure, "count", (low + high) / 2, low, high, 5))
    return rows


def verdict(name: str, figures: Figures) -> str:
    """Return what the rule of an experiment says of figures."""
    return verdict_of(import_module(find(name).module).judge, rows_of(figures)).verdict


def judged(name: str, holds: Figures, *others: tuple[str, Figures]) -> list[object]:
    """Return the cases of a test: figures that hold, and changes to them with what they make."""
    first = pytest.param(name, holds, "holds", id=f"{name}-holds")
    more = [
        pytest.param(name, {**holds, **changed}, expected, id=f"{name}-{expected}-{number}")
        for number, (expected, changed) in enumerate(others)
    ]
    return [first, *more]


def one_figure(figure: str, cases: Mapping[str, Figure]) -> dict[tuple[str, str], Figure]:
    """Return figures of one name, by case."""
    return {(case, figure): found for case, found in cases.items()}
