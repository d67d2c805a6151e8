"""The order of a run. Pure: scenarios, models, interpreters, blocks and a seed in, trials out.

Every block runs each cell once, in an order of its own: a machine that grows slower over the run
then slows all models alike, and no model always follows the same other. Only a ladder of idle
connections is climbed from below: what a rung took says whether the next one may be tried.
"""

from __future__ import annotations

__all__ = ["Ladder", "Pairing", "PlannedCell", "PlannedTrial", "cells", "endless"]

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import NamedTuple

from bench.interpreters.named import OWN, Interpreter
from bench.plan.scenarios import Scenario
from reports.key import CellKey
from reports.serving import Serving
from servers.catalog import Model


class Pairing(NamedTuple):
    """A model, and an interpreter that it may run under or not."""

    model: Model
    interpreter: Interpreter


class Ladder(NamedTuple):
    """What the rungs of one ladder of idle connections have in common, by name."""

    model: str
    interpreter: str
    scenario: str
    workers: int


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A model under a scenario and an interpreter."""

    model: Model
    scenario: Scenario
    workers: int  # of a pool; 0: the model has none
    interpreter: Interpreter = OWN

    @property
    def key(self) -> CellKey:
        """What tells the cell from all others, here and in every record."""
        return CellKey(
            self.scenario.name, self.scenario.level, self.model.name, self.interpreter.name
        )

    @property
    def serving(self) -> Serving:
        """How its server is started: as the scenario says, with the workers of this model."""
        return replace(self.scenario.serving, workers=self.workers)

    @property
    def ladder(self) -> Ladder:
        """The ladder that the cell is a rung of, if its load has idle connections."""
        return Ladder(self.model.name, self.interpreter.name, self.scenario.name, self.workers)


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A cell's turn in a block; blocks count from 1."""

    cell: PlannedCell
    block: int


def cells(
    models: Sequence[Model],
    scenarios: Sequence[Scenario],
    workers: int = 0,
    interpreters: Sequence[Interpreter] = (OWN,),
    left_out: Collection[Pairing] = (),
) -> list[PlannedCell]:
    """Pair scenarios with models and interpreters, but for pairs of these that cannot run.

    `workers` is the size of pools where the level sets none. A level about the size of a pool
    holds no cell for a model without one, a load none for a model that is not reached over its
    transport, and a scenario that is there for some models none for the others.
    """
    return [
        PlannedCell(
            model,
            scenario,
            model.workers and (scenario.serving.workers or workers or model.workers),
            interpreter,
        )
        for scenario in scenarios
        for model in models
        for interpreter in interpreters
        if model.transport == scenario.load.transport
        and (model.workers or not scenario.serving.workers)
        and (not scenario.models or model.name in scenario.models)
        and Pairing(model, interpreter) not in left_out
    ]


def order(cells: Sequence[PlannedCell], blocks: int, seed: int) -> list[PlannedTrial]:
    """Return `blocks` x `cells` trials, block after block, each in a random order of its own."""
    return [trial for block in islice(endless(cells, seed), blocks) for trial in block]


def endless(cells: Sequence[PlannedCell], seed: int) -> Iterator[list[PlannedTrial]]:
    """Yield block after block without end, in the order that `order` gives them."""
    shuffler = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    for block in count(1):
        shuffled = shuffler.sample(cells, len(cells))
        yield [PlannedTrial(cell, block) for cell in climbing(shuffled)]


def climbing(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Return `cells` with the rungs of each ladder, which keep their places, sorted upwards."""
    places: dict[Ladder, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        if cell.scenario.load.idle_connections:
            places[cell.ladder].append(place)
    climbed = list(cells)
    for ladder in places.values():
        rungs = sorted(
            (cells[place] for place in ladder),
            key=lambda cell: cell.scenario.load.idle_connections,
        )
        for place, cell in zip(ladder, rungs, strict=True):
            climbed[place] = cell
    return climbed
