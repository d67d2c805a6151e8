"""What an experiment works with: its effort, the clock, and a place for its figures.

It runs in a process of its own (`bench.experiments.child`), under any interpreter, so it needs the
standard library only, and pytest-benchmark where it times.
"""

from __future__ import annotations

__all__ = ["EFFORTS", "Cost", "Effort", "Lab", "cost", "elapsed"]

import resource
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import median, quantiles
from typing import Any, NamedTuple, TypeVar

from bench.experiments.timing import pedantic
from reports.experiments.finding import Row

_Choice = TypeVar("_Choice")


class Effort(NamedTuple):
    """How much is done."""

    name: str
    place: int  # in what `Lab.pick` is given
    rounds: int  # of whole-process effects
    timing_rounds: int  # of timings within a process: at least 30, whatever the effort
    limit_seconds: float  # after which an experiment is stopped


EFFORTS = {
    effort.name: effort
    for effort in (
        Effort("least", 0, 1, 30, 60.0),  # what the tests run
        Effort("quick", 1, 3, 30, 120.0),
        Effort("standard", 2, 5, 50, 300.0),
        Effort("full", 3, 9, 100, 900.0),
    )
}


class Lab:
    """One experiment's bench; `tell` is given whatever the conductor is to know, as pairs."""

    def __init__(self, name: str, effort: Effort, tell: Callable[[str, Any], None]) -> None:
        self.name = name
        self.effort = effort
        self._tell = tell

    @property
    def rounds(self) -> int:
        """How often an effect on whole processes is to be measured."""
        return self.effort.rounds

    def pick(self, least: _Choice, quick: _Choice, standard: _Choice, full: _Choice) -> _Choice:
        """Return what is meant for this effort."""
        return (least, quick, standard, full)[self.effort.place]

    def say(self, words: str) -> None:
        """Tell whoever waits how far it has come."""
        self._tell("say", words)

    def note(self, sentence: str) -> None:
        """Say what could not be measured here, or what a reader must know besides."""
        self._tell("note", sentence)

    def optional(self, module: str) -> Any:
        """Return a module that need not be installed; None and a note where it is not."""
        try:
            return import_module(module)
        except ImportError:  # or it is another Python's, which is the same to this one
            self.note(f"{module} is not installed for this Python")
            return None

    def report(self, case: str, figure: str, unit: str, values: Sequence[float] | float) -> Row:
        """Keep the median of the values, with their range."""
        found = [values] if isinstance(values, (int, float)) else list(values)
        return self._keep(
            Row(
                case,
                figure,
                unit,
                float(median(found)),
                float(min(found)),
                float(max(found)),
                len(found),
            )
        )

    def spread(self, case: str, figure: str, unit: str, values: Sequence[float]) -> Row:
        """Keep the median of many values of one process, with their interquartile range."""
        quarters = quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        low, middle, high = map(float, quarters)
        return self._keep(Row(case, figure, unit, middle, low, high, len(values)))

    def time(
        self,
        case: str,
        figure: str,
        action: Callable[..., object],
        *,
        per: int = 1,
        iterations: int = 1,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., object] | None = None,
        rounds: int = 0,
    ) -> Row:
        """Time an action that does `per` of what the figure is of; keep median and IQR."""
        entry = pedantic(
            f"{self.name}: {figure}",
            case,
            action,
            rounds=rounds or self.effort.timing_rounds,
            iterations=iterations,
            setup=setup,
            teardown=teardown,
        )
        entry["extra_info"] = {"per": per}
        self._tell("benchmark", entry)
        stats = entry["stats"]
        value, low, high = (stats[name] / per for name in ("median", "q1", "q3"))
        return self._keep(Row(case, figure, "s", value, low, high, stats["rounds"]))

    def _keep(self, row: Row) -> Row:
        self._tell("row", row._asdict())
        return row


def elapsed(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class Cost(NamedTuple):
    """What an action took: time, and CPU of this process and all that it started."""

    seconds: float
    cpu_seconds: float


def cost(action: Callable[[], object]) -> Cost:
    """Return what an action takes: time, and CPU of this process and of the children it waited for.

    The suite's meter is for other processes: of the one that reads, the reading would be a part.
    """
    before = _cpu_seconds()
    seconds = elapsed(action)
    return Cost(seconds, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
