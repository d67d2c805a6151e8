"""Charts in which every word stands as it is: names of models may be anybody's.

matplotlib takes a pair of dollars for a formula and raises when it is none, draws line ends and
control characters as they come, and writes them into an SVG that no reader then takes. Where a
chart gets its words from cannot be seen from here, so all of them are gone through before it is
drawn: those that are there, and those that the formatters of the ticks will write.
"""

from __future__ import annotations

__all__ = ["make_literal"]

from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from reports.untrusted import for_matplotlib


def make_literal(figure: Figure) -> None:
    """Make every word of a figure one that matplotlib shows as it is. Once, before it is drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _with_literal_ticks(axis)
    for found in figure.findobj(Text):
        if isinstance(found, Text):  # which the types of matplotlib do not know
            found.set_text(_lines(found.get_text()))


def _with_literal_ticks(axis: Axis) -> None:
    locator = axis.get_major_locator()
    axis.set_major_formatter(_Literal(axis.get_major_formatter()))
    axis.set_major_locator(locator)


class _Literal(Formatter):
    """The words of another formatter, made literal."""

    def __init__(self, inner: Formatter) -> None:
        self._inner = inner

    def __call__(self, value: float, position: int | None = None) -> str:
        return _lines(self._inner(value, position))

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return [_lines(words) for words in self._inner.format_ticks(list(values))]

    def get_offset(self) -> str:
        return self._inner.get_offset()

    def set_locs(self, locs: Sequence[float]) -> None:
        self._inner.set_locs(list(locs))


def _lines(text: str) -> str:
    """Keep our own line ends."""
    return "\n".join(map(for_matplotlib, text.split("\n")))
