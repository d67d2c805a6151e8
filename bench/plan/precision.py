"""When a run has blocks enough: `--precision` and `--budget`. Pure but for the clock it is given.

The headline is the throughput of each cell. Its interval is that of the median over trials, and
its width is half of it as a share of the median. Cells that are not ranked anyway (failures,
errors, connections never served) cannot hold a run up.
"""

from __future__ import annotations

__all__ = ["DEFAULT_BUDGET", "Precision", "QuantityError", "seconds", "share", "switch_seconds"]

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.errors import UserError
from bench.plan.order import PlannedTrial
from reports.key import CellKey
from reports.record import Sample

UNITS: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DEFAULT_BUDGET = "10m"
LEAST_SWITCH_SECONDS, MOST_SWITCH_SECONDS = 1e-6, 10.0


class QuantityError(UserError):
    """A word that is not the quantity it should be; the message is a sentence."""


def share(text: str) -> float:
    """Return what `5%` says, as a share of 1. QuantityError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if not found or not 0 < float(found[1]) <= 100:
        raise QuantityError(f"a precision is a percentage such as 5%, not {text!r}")
    return float(found[1]) / 100


def seconds(text: str) -> float:
    """Return what `10m`, `90s` or `20ms` say. QuantityError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)", text.strip())
    if not found or not float(found[1]):
        raise QuantityError(f"a duration is a number and one of {', '.join(UNITS)}, not {text!r}")
    return float(found[1]) * UNITS[found[2]]


def switch_seconds(text: str) -> float:
    """Return the seconds in a text like `0.5ms` that a thread may keep the GIL for."""
    asked = seconds(text)
    if not LEAST_SWITCH_SECONDS <= asked <= MOST_SWITCH_SECONDS:
        raise QuantityError(f"a switch interval is 1us to 10s, not {text!r}")
    return asked


class Width(NamedTuple):
    """The widest interval of a run: half its width as a share of the median, and whose it is."""

    share: float
    cell: str


def widest(samples: Sequence[Sample]) -> Width:
    """Return the width of the least certain cell; infinite with a single trial."""
    cells: dict[CellKey, list[Sample]] = defaultdict(list)
    for sample in samples:
        cells[sample.cell].append(sample)
    return max(
        (
            Width(
                width_of([sample.tally.throughput for sample in trials]),
                f"{cell.scenario} {cell.subject}",
            )
            for cell, trials in cells.items()
            if all(map(is_sound, trials))
        ),
        default=Width(0.0, "no cell that can be ranked"),
    )


def is_sound(sample: Sample) -> bool:
    """Whether a trial did what was asked of it."""
    tally = sample.tally
    served = tally.requests_per_connection and all(tally.requests_per_connection)
    return bool(served and not sample.failure and not tally.troubles)


def width_of(values: Sequence[float]) -> float:
    """Return half the interval of the median of `values`, as a share of that median."""
    if len(values) < 2:
        return float("inf")
    from reports.stats import median_interval  # with scipy, which takes half a second

    middle = median_interval(values)
    return (middle.high - middle.low) / 2 / middle.value


class Precision:
    """Adds blocks until the widest interval is narrow enough, or the budget has no room for one."""

    def __init__(self, goal: float, budget_seconds: float, clock: Callable[[], float]) -> None:
        self.verdict = ""  # one sentence, once it has ended
        self._goal = goal
        self._budget_seconds = budget_seconds
        self._clock = clock

    def blocks(
        self,
        blocks: Iterator[list[PlannedTrial]],
        fewest: int,
        measured: Sequence[Sample],
        more: Callable[[int], object],
    ) -> Iterator[list[PlannedTrial]]:
        """Yield `fewest` blocks, and of as many more as it takes.

        Whoever runs them lets `measured` grow with each; `more` is told of trials that were added.
        """
        started = self._clock()
        for number, block in enumerate(blocks, 1):
            if number > fewest:
                more(len(block))
            yield block
            if number < fewest:
                continue
            width = widest(measured)
            spent = self._clock() - started
            about = (
                f"after {number} blocks the widest interval is ±{width.share:.1%} ({width.cell})"
            )
            if width.share <= self._goal:
                self.verdict = f"the precision of {self._goal:.1%} was reached: {about}"
                return
            if spent + spent / number > self._budget_seconds:
                self.verdict = f"the budget of {self._budget_seconds:g} s is spent: {about}"
                return
