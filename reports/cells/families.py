"""Families of models: what a reader takes in at a glance before thirty names. Pure.

Which model belongs to which family is said by the record, because nothing here knows the models.
Runs from before that was recorded had no other models than the eight below.
"""

from __future__ import annotations

__all__ = ["CLASSIC", "OTHER", "Chosen", "choose", "chosen_of", "chosen_on", "families_of"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.cells.ladders import Ladder
from reports.cells.workload import Cell, Workload
from reports.key import REFERENCE
from reports.record import Run

OTHER = "other"
CLASSIC: Mapping[str, str] = {
    "serial": "sequential",
    "thread": "threads",
    "process": "processes",
    "socketserver": "threads",
    "thread-pool": "threads",
    "process-pool": "processes",
    "coroutine": "coroutines",
    "asyncio": "event loop",
}
MOST = 12
"""So many models a chart has room for."""


def families_of(run: Run) -> dict[str, str]:
    """Return the family of every model that a run knows of, its own or not, in a fixed order."""
    known = run.families or CLASSIC
    return {**known, **{model: known.get(model, OTHER) for model in run.models}}


class Chosen(NamedTuple):
    """The models that a chart shows, and those that it leaves to the table."""

    subjects: tuple[str, ...]  # models, each with its interpreter where it has one of its own
    left_out: Mapping[str, Sequence[str]]  # by family

    @property
    def sentence(self) -> str:
        """What the chart says of those that it leaves out; empty when it shows all."""
        if not self.left_out:
            return ""
        named = "; ".join(f"{family}: {', '.join(rest)}" for family, rest in self.left_out.items())
        return f"The best of each family. In the table, but not here: {named}."


def choose(ranking: Mapping[str, str]) -> Chosen:
    """Return all models, or the best of each family where there are more than MOST.

    `ranking` has the family of each, the best model first, and so have those chosen.
    """
    if len(ranking) <= MOST:
        return Chosen(tuple(ranking), {})
    best: dict[str, str] = {}
    left_out: dict[str, list[str]] = {}
    for subject, family in ranking.items():
        if best.setdefault(family, subject) != subject:
            left_out.setdefault(family, []).append(subject)
    return Chosen(tuple(best.values()), left_out)


def chosen_of(run: Run, workload: Workload) -> tuple[list[Cell], str]:
    """Return the cells of a workload that a chart shows, best first, and what it leaves out."""
    chosen = choose(_families_in(run, workload.ranking))
    shown = {*chosen.subjects, REFERENCE}
    cells = [cell for cell in workload.rows if cell.subject in shown]
    return cells, chosen.sentence


def chosen_on(run: Run, ladder: Ladder) -> Chosen:
    """Return the models of a ladder that a chart shows: the best at its last rung that has them."""
    rungs = reversed(ladder.workloads)
    return choose(_families_in(run, [cell for rung in rungs for cell in rung.ranking]))


def _families_in(run: Run, ranking: Sequence[Cell]) -> dict[str, str]:
    families = families_of(run)
    return {cell.subject: families.get(cell.model, OTHER) for cell in ranking}
