"""The order of a run. Pure: scenarios, models, blocks and a seed in, a list of trials out.

Every block runs each cell once, in an order of its own: a machine that grows slower over the run
then slows all models alike, and no model always follows the same other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.scenarios import Scenario
from servers.catalog import Model


@dataclass(frozen=True, slots=True)
class Cell:
    """A model under a scenario."""

    model: Model
    scenario: Scenario
    workers: int  # of a pool; 0: the model has none


@dataclass(frozen=True, slots=True)
class Trial:
    """A cell's turn in a block; blocks count from 1."""

    cell: Cell
    block: int


def cells(models: Sequence[Model], scenarios: Sequence[Scenario], workers: int = 0) -> list[Cell]:
    """Pair scenarios with models. `workers` is the size of pools where the level sets none.

    A level about the size of a pool holds no cell for a model without one.
    """
    return [
        Cell(model, scenario, model.workers and (scenario.workers or workers or model.workers))
        for scenario in scenarios
        for model in models
        if model.workers or not scenario.workers
    ]


def order(cells: Sequence[Cell], blocks: int, seed: int) -> list[Trial]:
    """Return `blocks` x `cells` trials, block after block, each in a random order of its own."""
    shuffler = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    return [
        Trial(cell, block)
        for block in range(1, blocks + 1)
        for cell in shuffler.sample(cells, len(cells))
    ]
