"""Trials brought together: a cell is one model under one load, a workload all models under it.

How they come from a run's trials is `reports.cells.gathering`'s. What makes a cell no fair match
for the others (connections never served, errors, failed trials) is said in its notes, and it is
then not ranked. Nothing is left out silently.
"""

from __future__ import annotations

__all__ = ["Cell", "Spread", "Workload"]

import math
from dataclasses import dataclass

from reports.cells.limits import LimitVerdict
from reports.histogram import Histogram
from reports.key import CellKey
from reports.load import Load
from reports.metrics import (
    BANDWIDTH,
    CONNECT_MAX,
    CPU,
    P99,
    PSS_PER_CONNECTION,
    THROUGHPUT,
    Metric,
    Trial,
    suited,
)
from reports.record import Sample
from reports.stats import Ranks, ranks_of
from reports.units import AT_LEAST, DASH, MISSING, extent, percent

GIL_CAME_BACK = "the GIL came back on: an import that cannot do without it"


_RATES = (THROUGHPUT, BANDWIDTH)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of a cell, and its interval: the range of the trials, or from eight on BCa's."""

    value: float
    low: float
    high: float
    trials: int  # that the interval comes from; 0: only the trials together gave the figure
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One model under one load: everything its trials say together."""

    key: CellKey
    asked: Sample  # any of the trials: of all of them the same was asked
    trials: tuple[Trial, ...]  # the good ones
    failures: tuple[str, ...]  # what went wrong in each of the others
    errors: dict[str, int]  # by kind, over all trials, zeros included
    answered: Histogram
    unanswered: Histogram
    figures: dict[str, Spread]  # by Metric.name; absent when no trial gives it
    verdict: LimitVerdict  # what limited it
    stopped: str = ""  # why the model could not go on at this level

    @property
    def scenario(self) -> str:
        """The name of its load."""
        return self.key.scenario

    @property
    def level(self) -> str:
        """Its load in words."""
        return self.key.level

    @property
    def model(self) -> str:
        """The model's name, whatever interpreter it ran under."""
        return self.key.model

    @property
    def subject(self) -> str:
        """What was measured, in words; unique within a workload."""
        return self.key.subject

    @property
    def load(self) -> Load:
        """The load of all of its trials."""
        return self.asked.load

    @property
    def served(self) -> tuple[int, int]:
        """The fewest and the most connections that a trial served."""
        counts = [trial.served for trial in self.trials] or [0]
        return min(counts), max(counts)

    @property
    def ranked(self) -> bool:
        """Whether the cell did all it was asked for, and so may be called best at something."""
        return bool(
            self.trials
            and not self.key.is_reference
            and not self.failures
            and not self.stopped
            and not sum(self.errors.values())
            and self.served[0] >= self.load.connections
        )

    def ranked_by(self, metric: Metric) -> bool:
        """Whether the cell may be ranked by this figure.

        What the generator limited was not the server's throughput.
        """
        return self.ranked and not (metric in _RATES and self.verdict.limit == "generator")

    def tied_by(self, metric: Metric) -> bool:
        """Whether the figure is as good as any can be, because no more was asked for."""
        return metric in _RATES and self.verdict.limit == "ceiling"

    def unranked_because(self, metric: Metric) -> str:
        """Return why the cell may not be ranked by this figure; empty when it may."""
        if self.ranked_by(metric):
            return ""
        if self.ranked:
            return self.verdict.reasons[0]
        return next(iter(self.notes), "no trial")

    def by_block(self, metric: Metric) -> dict[int, float]:
        """Return the figure of each trial that has it, by its block."""
        values = ((trial.sample.block, metric.of(trial)) for trial in self.trials)
        return {block: value for block, value in values if value is not None}

    def extreme(self, metric: Metric) -> float:
        """Return the greatest of the figure and its trials: how far a chart must reach."""
        return max(self.figures[metric.name].value, *self.by_block(metric).values(), 0.0)

    @property
    def runs_under(self) -> str:
        """What its interpreter said it is, where it has one of its own; a name proves nothing."""
        if not self.key.interpreter:
            return ""
        return next((said for trial in self.trials if (said := trial.sample.runs_under)), "")

    @property
    def gil_came_back(self) -> bool:
        """Whether a server that could do without the GIL ended with it."""
        return any(trial.sample.gil_came_back for trial in self.trials)

    @property
    def uneven(self) -> tuple[int, int] | None:
        """The fewest and the most connections that a process held in a trial; None if all as many.

        Not where a connection ends before the window does: what is open then is chance.
        """
        spreads = [trial.sample.connections_by_process for trial in self.trials]
        counts = [count for spread in spreads for count in spread]
        if self.load.session or not counts or max(counts) - min(counts) < 2:
            return None
        return min(counts), max(counts)

    @property
    def notes(self) -> list[str]:
        """What a reader must know before comparing the cell with others, gravest first."""
        notes = []
        if self.key.is_reference:
            notes.append("the floor, in C: never ranked")
        if self.failures:
            count = len(self.failures)
            share = f" {count} of {count + len(self.trials)}" if self.trials else ""
            notes.append(f"failed{share}: {self.failures[0].splitlines()[0]}")
        if self.stopped:
            notes.append(self.stopped)
        errors = {kind: count for kind, count in self.errors.items() if count}
        if self.trials and self.served[0] < self.load.connections:
            notes.append(f"{extent(*self.served)} of {self.load.connections} served")
            # The requests of those connections: the same thing, said twice.
            errors.pop("unfinished", None)
        if spread := self.uneven:
            notes.append(f"a process had {extent(*spread)} connections")
        notes += [f"{count:,} {kind.replace('_', ' ')}" for kind, count in errors.items()]
        if self.verdict.limit == "generator":
            notes.append(self.verdict.reasons[0])
        if self.gil_came_back:
            notes.append(GIL_CAME_BACK)
        disturbed = [trial.sample for trial in self.trials if trial.disturbed]
        if disturbed:
            most = max(max(sample.foreign_cpu_share, sample.steal_share) for sample in disturbed)
            notes.append(f"{len(disturbed)} of {len(self.trials)} disturbed ({percent(most)})")
        return notes

    def write(self, metric: Metric) -> str:
        """Return a figure in words: 1.24 ms, or ≥ 600 ms, or a dash."""
        spread = self.figures.get(metric.name)
        if spread is None:
            return MISSING
        bound = metric in _RATES and self.verdict.limit == "generator"
        return AT_LEAST * (spread.at_least or bound) + metric.write(spread.value)

    def write_range(self, metric: Metric) -> str:
        """Return the interval in words; empty without at least two trials."""
        spread = self.figures.get(metric.name)
        if spread is None or spread.trials < 2:
            return ""
        low, high = metric.write(spread.low), metric.write(spread.high)
        figure, _, unit = low.partition(" ")
        # A unit that both ends have is said once: 1.1 to 1.4 ms.
        return f"{figure if unit and high.endswith(f' {unit}') else low} {DASH} {high}"


@dataclass(frozen=True, slots=True)
class Workload:
    """All cells that had the same scenario and level, in the run's order of models."""

    scenario: str
    level: str
    cells: tuple[Cell, ...]
    reference: Cell | None = None  # the null server under the same load, if it can serve that

    @property
    def name(self) -> tuple[str, str]:
        """What tells the workload from the others of its run."""
        return self.scenario, self.level

    @property
    def asked(self) -> Sample:
        """Any of the trials, for what the cells have in common."""
        return self.cells[0].asked

    @property
    def load(self) -> Load:
        """The load of all cells; only its rate may differ, in a `curve`."""
        return self.asked.load

    @property
    def comparable(self) -> bool:
        """Whether all cells had one load; a `curve` drives each model at its own rates."""
        return len({cell.load.rate for cell in self.cells}) == 1

    @property
    def headline(self) -> Metric:
        """What the workload is there to compare: throughput, unless the load itself fixes that."""
        for holds, metric in (
            (self.load.company, P99),
            (self.load.rate, CPU),
            (self.load.idle_connections, PSS_PER_CONNECTION),
            (self.asked.serving.backlog, CONNECT_MAX),
        ):
            if holds:
                return metric
        return self.suited(THROUGHPUT)

    def suited(self, metric: Metric) -> Metric:
        """Return the figure that says of this load what `metric` does of a request."""
        return suited(metric, self.load)

    @property
    def ranking(self) -> list[Cell]:
        """The cells by the headline figure, best first, those not ranked after all others."""
        return self.ordered(self.headline)

    def ordered(self, metric: Metric) -> list[Cell]:
        """Return the cells by one figure, as it is printed, best first, and those not ranked last.

        Where several are as good as can be, the one that costs least CPU comes first.
        """
        sign, cost = -1 if metric.more_is_better else 1, self.suited(CPU)

        def place(cell: Cell) -> tuple[bool, bool, float, str]:
            tied = cell.tied_by(metric)
            spread = cell.figures.get((cost if tied else metric).name)
            value = spread.value if spread else math.inf
            better = value if tied or not spread else sign * value
            return not cell.ranked, not tied, better, cell.subject

        return sorted(self.cells, key=place)

    @property
    def rows(self) -> list[Cell]:
        """The cells as tables and charts have them: the ranking, and the reference below it."""
        return [*self.ranking, *([self.reference] if self.reference else [])]

    def ranks(self, metric: Metric) -> dict[str, Ranks]:
        """Return the ranks by one figure of all subjects that may be ranked by it, best first.

        The order is that of the figures as they are printed: of latencies those of all trials
        together, whose median over trials may be another's.
        """
        cells = [cell for cell in self.ordered(metric) if cell.ranked_by(metric)]
        found = ranks_of(
            {cell.subject: values for cell in cells if (values := cell.by_block(metric))},
            more_is_better=metric.more_is_better,
            tied={cell.subject for cell in cells if cell.tied_by(metric)},
        )
        return {cell.subject: found[cell.subject] for cell in cells if cell.subject in found}
