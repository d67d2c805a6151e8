"""Which model for which workload: the best median per question, and who is not told apart from it.

No ranking statistics: the ranges of the trials either overlap or they do not. With five trials
the range is a 94% interval for the median (1 - 2 * 0.5**5); with fewer nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reports.cells import Cell, Spread, Workload
from reports.metrics import CPU, P99, PSS_LOADED, THROUGHPUT, Metric

TRIALS_TO_TELL = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader asks of a workload: by which figure, and whether more of it is better."""

    title: str
    metric: Metric
    best: Callable[[Iterable[float]], float]


QUESTIONS = (
    Question("Most requests per second", THROUGHPUT, max),
    Question("Lowest p99 latency", P99, min),
    Question("Least CPU per request", CPU, min),
    Question("Least memory under load", PSS_LOADED, min),
)


@dataclass(frozen=True, slots=True)
class Leader:
    """The answer to a question: the best cell, and those that this run does not tell from it."""

    question: Question
    cell: Cell
    level_with: tuple[Cell, ...]
    told: bool  # whether it had trials enough to be told from anybody


def leader_of(workload: Workload, question: Question) -> Leader | None:
    """Return who answers the question best; None when no cell that is ranked has the figure."""
    metric = question.metric
    figures = {
        cell.model: (cell, cell.figures[metric.name])
        for cell in workload.cells
        if cell.ranked and metric.name in cell.figures
    }
    if not figures:
        return None
    value = question.best(spread.value for _, spread in figures.values())
    best, extent = next(pair for pair in figures.values() if pair[1].value == value)
    return Leader(
        question=question,
        cell=best,
        level_with=tuple(
            cell
            for cell, spread in figures.values()
            if cell is not best and not _apart(extent, spread)
        ),
        told=extent.trials >= TRIALS_TO_TELL,
    )


def _apart(one: Spread, other: Spread) -> bool:
    enough = min(one.trials, other.trials) >= TRIALS_TO_TELL
    return enough and (one.low > other.high or other.low > one.high)
