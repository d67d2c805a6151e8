"""Rates that follow from what the models can do. Pure.

A scenario may ask for a share of a capacity. The run then begins with a short closed loop of each
model under the same load (`probes`), and the answers turn shares into rates (`resolve`). A model
that leaves connections unserved has no capacity to speak of, and is left out.
"""

from __future__ import annotations

__all__ = ["LeftOut", "capacity", "left_out", "probes", "resolve"]

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.plan.order import PlannedCell
from reports.record import Sample

Capacities = Mapping[PlannedCell, float]
"""Requests per second by probe; 0: the model did not serve every connection."""


def probe(cell: PlannedCell) -> PlannedCell:
    """Return the closed loop that tells a cell's capacity."""
    return replace(cell, scenario=replace(cell.scenario, share=0.0, share_of=""))


def probes(cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """Return what has to be measured before `cells` have their rates, each once."""
    return list(dict.fromkeys(probe(cell) for cell in cells if cell.scenario.share))


def capacity(sample: Sample) -> float:
    """Return what a probe's trial says."""
    served = all(sample.tally.requests_per_connection) and not sample.tally.troubles
    return sample.tally.throughput if served else 0.0


def _own(cell: PlannedCell, capacities: Capacities) -> float:
    return capacities[probe(cell)]


def _slowest(cell: PlannedCell, capacities: Capacities) -> float:
    """Return the least over all models and placements: a rate that suits every one of them."""
    return min(
        rate
        for other, rate in capacities.items()
        if rate and other.scenario.name == cell.scenario.name
    )


CAPACITIES: Mapping[str, Callable[[PlannedCell, Capacities], float]] = {
    "its own": _own,
    "the slowest model's": _slowest,
}
"""Whose capacity a scenario's `share_of` names."""


def resolve(cells: Sequence[PlannedCell], capacities: Capacities) -> list[PlannedCell]:
    """Return `cells` with their rates, to two digits; those of a model without one are left out."""
    return [
        _at_rate(cell, capacities) if cell.scenario.share else cell
        for cell in cells
        if not cell.scenario.share or capacities[probe(cell)]
    ]


def _at_rate(cell: PlannedCell, capacities: Capacities) -> PlannedCell:
    rate = cell.scenario.share * CAPACITIES[cell.scenario.share_of](cell, capacities)
    return replace(cell, scenario=cell.scenario.loaded(rate=float(f"{rate:.2g}")))


class LeftOut(NamedTuple):
    """A model that has no rate in a scenario, because it left connections unserved."""

    model: str  # with its interpreter, where there are several
    scenario: str

    @property
    def sentence(self) -> str:
        """What a user is told of it."""
        return f"{self.model} is left out of {self.scenario}: it does not serve every connection"


def left_out(capacities: Capacities) -> list[LeftOut]:
    """Return each model that has no rate, once for each scenario."""
    starving = (cell for cell, rate in capacities.items() if not rate)
    return list(dict.fromkeys(LeftOut(cell.key.subject, cell.scenario.name) for cell in starving))
