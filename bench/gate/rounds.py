"""The gate: is the head worse than the base, model by model, both measured side by side now.

Pairs are measured in rounds: each round has one pair of every model, in an order of its own, so
a noisy minute falls on all of them. After a block of rounds every metric is judged
(`reports.gate.verdicts`); models with a suspicion or a doubt get another block, up to a limit.
"""

from __future__ import annotations

__all__ = [
    "ECHO_64",
    "MOST_BLOCKS",
    "PAIRS",
    "PLACEMENT",
    "GateRules",
    "placed",
    "scenario_named",
    "verdicts",
]

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure.pairs import Shape, SideBySide
from bench.measure.placement import Placement, place
from bench.plan.order import PlannedCell
from bench.plan.scenarios import ECHO, Scenario, find_load
from reports.gate.effects import Limit
from reports.gate.verdicts import LIMITS, Outcome, Pair, Verdict, judge

ECHO_64 = ECHO.loaded(size_bytes=64)
"""The least work per request: what a model itself costs has the largest share of it."""

PAIRS = 12
MOST_BLOCKS = 4
PLACEMENT = "same"
"""What the self-test showed to be the sharper (docs/gate.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """How a gate measures and judges."""

    pairs: int = PAIRS  # of a block
    most_blocks: int = MOST_BLOCKS  # of a model under a scenario
    limits_of: Callable[[str], Mapping[str, Limit]] = field(default=lambda _scenario: LIMITS)
    seed: int = 0  # of the orders
    shape: Shape = field(default_factory=Shape)


def scenario_named(name: str) -> Scenario:
    """Return a gate's scenario; UnknownNameError when there is none of this name."""
    return ECHO_64 if name == ECHO.name else find_load(name)


def placed(scenario: Scenario, placement: str) -> Scenario:
    """Return the scenario where a gate runs it.

    Those that are about what several CPUs can do at once keep their own placement unless told.
    """
    if placement:
        return scenario.served(placement=placement)
    is_split = scenario.serving.placement == "split"
    return scenario.served(placement=PLACEMENT) if is_split else scenario


@dataclass(slots=True)
class _Case:
    """A cell under judgement."""

    cell: PlannedCell
    conditions: SideBySide
    limits: Mapping[str, Limit]
    blocks: list[list[Pair]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a server failed: then there is nothing more to measure."""
        return bool(self.blocks[-1] and self.blocks[-1][-1].failure)

    def verdicts(self) -> list[Verdict]:
        return judge(self.blocks, self.limits)

    def open(self) -> bool:
        """Whether another block may decide something."""
        return any(verdict.outcome is Outcome.INCONCLUSIVE for verdict in self.verdicts())


def verdicts(
    cells: Sequence[PlannedCell],
    base: Path,
    head: Path,
    cpus: Sequence[int] | Placement,
    rules: GateRules,
    said: Callable[[str], object] = lambda _line: None,
    measured: Callable[[Pair], object] = lambda _pair: None,
) -> list[Verdict]:
    """Judge every cell; `said` is told of the progress in lines, `measured` of every pair."""
    rng = random.Random(rules.seed)  # noqa: S311  # orders to be repeated, not secrets
    cases = [
        _Case(
            cell,
            SideBySide(place(cell.scenario.serving.placement, cpus), rules.shape),
            rules.limits_of(cell.scenario.name),
        )
        for cell in cells
    ]
    pending = cases
    for block in range(1, rules.most_blocks + 1):
        if block > 1:
            names = ", ".join(each.cell.key.name for each in pending)
            said(f"block {block}, to confirm or to be surer: {names}")
        for case in pending:
            case.blocks.append([])
        started = time.monotonic()
        for number in range(1, rules.pairs + 1):
            running = [case for case in pending if not case.failed]
            if not running:
                break
            for case in rng.sample(running, len(running)):
                pair = case.conditions.measure(case.cell, base, head, block=block, rng=rng)
                case.blocks[-1].append(pair)
                measured(pair)
            spent = time.monotonic() - started
            left = spent / number * (rules.pairs - number)
            said(
                f"block {block}, pair {number} of {rules.pairs}: {spent:.0f} s, {left:.0f} s to go"
            )
        pending = [case for case in pending if case.open()]
        if not pending:
            break
    return [verdict for case in cases for verdict in case.verdicts()]
