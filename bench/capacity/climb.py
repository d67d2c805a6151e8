"""`capacity`: the highest rate at which each model keeps a promise.

The searches (`bench.capacity.search`) take turns, a trial of each model in every round, so that a
machine that changes its speed changes it for all of them. Every trial is a fresh server.
"""

from __future__ import annotations

__all__ = ["Answer", "CutShort", "search"]

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.capacity.promise import Promise
from bench.capacity.search import Found, Search
from bench.measure.placement import Placement
from bench.measure.trial import measure
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.scenarios import Profile
from bench.run.conduct import capacities, here

START_SHARE = 0.8  # of what a closed loop reaches, which is known within a second
LEAST_SECONDS, MOST_SECONDS = 0.8, 20.0  # of a window: long enough to know the percentile

PROFILE = Profile(
    name="capacity",
    shows="the highest rate at which a promise is kept",
    scenarios=(),
    blocks=1,
    window_seconds=LEAST_SECONDS,
    warm_up_seconds=0.2,
    drain_seconds=1.0,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's figure."""

    cell: PlannedCell
    found: Found
    broken_by: str  # what the lowest rate that broke the promise did
    cpu_us: float  # of the server, per request at the highest rate kept; 0: unknown

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON-ready values; an interval without an end has null there."""
        high = self.found.high
        return {
            "model": self.cell.model.name,
            "scenario": self.cell.scenario.name,
            "level": self.cell.scenario.level,
            "rate": self.found.rate,
            "low": self.found.low,
            "high": None if math.isinf(high) else high,
            "trials": self.found.trials,
            "broken_by": self.broken_by,
            "cpu_us_per_request": self.cpu_us,
        }


@dataclass(slots=True)
class _Hunt:
    """A search under way, and what its decisive trials were like."""

    cell: PlannedCell
    search: Search
    broken: tuple[float, str] = (math.inf, "")
    kept: tuple[float, float] = (0.0, 0.0)

    def answer(self) -> Answer:
        return Answer(self.cell, self.search.found(), self.broken[1], self.kept[1])


class CutShort(KeyboardInterrupt):
    """A search that was interrupted, and what its trials say by then."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__("the search was interrupted")
        self.answers = answers


def search(
    cells: Sequence[PlannedCell],
    promise: Promise,
    cpus: Sequence[int] | Placement,
    said: Callable[[str], object],
) -> list[Answer]:
    """Search for every cell in turns; `said` is told of each trial in a line.

    CutShort, with what there is by then, when it is interrupted after a first trial.
    """

    def probed(cell: PlannedCell, rate: float) -> None:
        said(f"{cell.model.name:14} closed loop: {rate:,.0f} requests/s")

    found = capacities(cells, PROFILE, here(cpus), probed)
    floor = promise.least_requests / MOST_SECONDS
    hunts = [
        _Hunt(cell, Search(max(floor, START_SHARE * rate), floor)) for cell, rate in found.items()
    ]
    try:
        for round_number, hunt in _turns(hunts):
            said(_one_trial(hunt, promise, cpus, round_number))
    except KeyboardInterrupt as interrupt:
        if answers := _answers(hunts):
            raise CutShort(answers) from interrupt
        raise
    return _answers(hunts)


def _answers(hunts: Sequence[_Hunt]) -> list[Answer]:
    answers = [answer for hunt in hunts if (answer := hunt.answer()).found.trials]
    return sorted(answers, key=lambda answer: -answer.found.rate)


def _turns(hunts: Sequence[_Hunt]) -> Iterator[tuple[int, _Hunt]]:
    """Yield every search that is not over, round after round."""
    round_number = 0
    while pending := [hunt for hunt in hunts if hunt.search.rate]:
        round_number += 1
        for hunt in pending:
            yield round_number, hunt


def _one_trial(
    hunt: _Hunt, promise: Promise, cpus: Sequence[int] | Placement, round_number: int
) -> str:
    """Try the next rate of one search; return what came of it in a line."""
    rate = hunt.search.rate
    trial = PlannedTrial(
        replace(hunt.cell, scenario=hunt.cell.scenario.loaded(rate=rate)), round_number
    )
    # A tenth more than it takes: the last requests of a window may be answered after it.
    window = min(max(LEAST_SECONDS, 1.1 * promise.least_requests / rate), 1.1 * MOST_SECONDS)
    sample = measure(trial, replace(PROFILE, window_seconds=window), "", cpus)
    trouble = promise.broken_by(sample)
    hunt.search.tried(not trouble)
    if trouble:
        hunt.broken = min(hunt.broken, (rate, trouble))
    else:
        used = sample.server_user_seconds + sample.server_system_seconds
        hunt.kept = max(hunt.kept, (rate, used / sample.tally.requests * 1e6))
    return f"{hunt.cell.model.name:14} {rate:>10,.0f}/s  {trouble or 'kept'}"
