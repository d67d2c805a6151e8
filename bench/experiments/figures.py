"""What an experiment found, as its verdict rule reads it: figures by case and name. Pure."""

from __future__ import annotations

__all__ = ["Bounds", "Found", "NotMeasured", "ratio"]

from collections.abc import Sequence
from typing import NamedTuple

from reports.experiments.finding import Row


class NotMeasured(LookupError):  # noqa: N818  # it says what is missing, and is no fault
    """A verdict needs a figure that this run has not; the verdict then is `untold`."""


class Bounds(NamedTuple):
    """A figure, and between which bounds it lies."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


class Found:
    """The figures of one experiment."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row.case, row.figure): row for row in rows}
        self.figures = list(dict.fromkeys(row.figure for row in rows))

    def of(self, case: str, figure: str = "") -> Row:
        """Return a figure of a case, the first figure unless told; NotMeasured without it."""
        name = figure or next(iter(self.figures), "")
        try:
            return self._rows[case, name]
        except KeyError:
            raise NotMeasured(f"{case} has no figure {name!r} in this run") from None

    def has(self, case: str, figure: str = "") -> bool:
        """Whether `of` would find it."""
        return (case, figure or next(iter(self.figures), "")) in self._rows

    def cases(self, figure: str = "") -> list[Row]:
        """Return the rows of a figure, in the order in which they were measured; at least one."""
        name = figure or next(iter(self.figures), "")
        found = [row for (_, each), row in self._rows.items() if each == name]
        if not found:
            raise NotMeasured(f"nothing has a figure {name!r} in this run")
        return found


def ratio(one: Row, other: Row) -> Bounds:
    """Return one/other; its bounds are the worst that the two intervals allow."""
    low, high = max(other.low, 1e-12), max(other.high, 1e-12)
    return Bounds(one.value / max(other.value, 1e-12), one.low / high, one.high / low)
