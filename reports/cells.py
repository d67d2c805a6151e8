"""Trials brought together: a cell is one model under one load, a workload all models under it.

Medians over trials with the range of the trials; latencies from the merged histogram. What
makes a cell no fair match for the others (connections never served, errors, failed trials) is
said in its notes, and it is then not ranked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from reports.histogram import Histogram, summarize
from reports.metrics import METRICS, Metric, Trial
from reports.record import Run, Sample
from reports.units import AT_LEAST, DASH, MISSING, extent, percent

GENERATOR_BUSY = 0.9
"""Above this share of a core the generator may have been the limit (MEASURE.md)."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of a cell: what it is, and between which trials' figures it lies."""

    value: float
    low: float
    high: float
    trials: int  # that the range comes from; 0: only the trials together gave the figure
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One model under one load: everything its trials say together."""

    scenario: str
    level: str
    model: str
    load: Sample  # any of the trials: they all had this load
    trials: tuple[Trial, ...]  # the good ones
    failures: tuple[str, ...]  # what went wrong in each of the others
    errors: dict[str, int]  # by kind, over all trials, zeros included
    answered: Histogram
    unanswered: Histogram
    figures: dict[str, Spread]  # by Metric.name; absent when no trial gives it

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
            and not self.failures
            and not sum(self.errors.values())
            and self.served[0] >= self.load.connections
        )

    @property
    def notes(self) -> list[str]:
        """What a reader must know before comparing the cell with others, gravest first."""
        notes = []
        if self.failures:
            count = len(self.failures)
            share = f" {count} of {count + len(self.trials)}" if self.trials else ""
            notes.append(f"failed{share}: {self.failures[0].splitlines()[0]}")
        errors = {kind: count for kind, count in self.errors.items() if count}
        if self.trials and self.served[0] < self.load.connections:
            notes.append(f"{extent(*self.served)} of {self.load.connections} served")
            # The requests of those connections: the same thing, said twice.
            errors.pop("unfinished", None)
        notes += [f"{count:,} {kind.replace('_', ' ')}" for kind, count in errors.items()]
        busy = self.figures.get("generator_cpu_share")
        if busy and busy.value > GENERATOR_BUSY:
            notes.append(f"generator {percent(busy.value)} busy")
        return notes

    def write(self, metric: Metric) -> str:
        """Return a figure in words: 1.24 ms, or ≥ 600 ms, or a dash."""
        spread = self.figures.get(metric.name)
        if spread is None:
            return MISSING
        return AT_LEAST * spread.at_least + metric.write(spread.value)

    def write_range(self, metric: Metric) -> str:
        """Return the range of the trials in words; empty without at least two."""
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

    @property
    def load(self) -> Sample:
        """Any of the trials, for what the cells have in common."""
        return self.cells[0].load

    @property
    def ranking(self) -> list[Cell]:
        """The cells by throughput, best first, those that are not ranked after all others."""
        return sorted(self.cells, key=lambda cell: (not cell.ranked, -_throughput(cell)))


def workloads_of(run: Run, samples: Iterable[Sample]) -> list[Workload]:
    """Bring trials together, scenarios and models in the order in which the run lists them."""

    def workload_key(sample: Sample) -> tuple[int, str, int, int, str, str]:
        return (
            _place(sample.scenario, run.scenarios),
            sample.scenario,
            sample.connections,
            sample.size_bytes,
            sample.placement,
            sample.level,
        )

    def model_key(sample: Sample) -> tuple[int, str]:
        return _place(sample.model, run.models), sample.model

    ordered = sorted(samples, key=lambda s: (workload_key(s), model_key(s), s.block))
    workloads = []
    for _, group in groupby(ordered, key=workload_key):
        cells = tuple(_cell(list(trials)) for _, trials in groupby(group, key=model_key))
        workloads.append(Workload(cells[0].scenario, cells[0].level, cells))
    return workloads


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _throughput(cell: Cell) -> float:
    spread = cell.figures.get("throughput_per_s")
    return spread.value if spread else -1.0


def _cell(samples: Sequence[Sample]) -> Cell:
    trials = tuple(Trial(sample) for sample in samples if not sample.failure)
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample.errors)
    answered = Histogram.merge(trial.answered for trial in trials)
    unanswered = Histogram.merge(trial.unanswered for trial in trials)
    first = samples[0]
    return Cell(
        scenario=first.scenario,
        level=first.level,
        model=first.model,
        load=first,
        trials=trials,
        failures=tuple(sample.failure for sample in samples if sample.failure),
        errors=dict(errors),
        answered=answered,
        unanswered=unanswered,
        figures=_figures(trials, answered, unanswered),
    )


def _figures(
    trials: Sequence[Trial], answered: Histogram, unanswered: Histogram
) -> dict[str, Spread]:
    merged = summarize(answered, unanswered)
    figures = {}
    for metric in METRICS:
        values = [value for value in map(metric.of, trials) if value is not None]
        if metric.latency:
            together = merged[metric.latency]
            value = None if together is None else together / 1e3
        else:
            value = float(np.median(values)) if values else None
        if value is not None:
            figures[metric.name] = Spread(
                value=value,
                low=min(values, default=value),
                high=max(values, default=value),
                trials=len(values),
                at_least=bool(merged.get(f"{metric.latency}_at_least")),
            )
    return figures
