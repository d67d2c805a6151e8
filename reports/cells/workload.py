"""Trials brought together: a cell is one model under one load, a workload all models under it.

Medians over trials with the interval that `reports.stats` gives them; latencies from the merged
histogram. What makes a cell no fair match for the others (connections never served, errors, failed
trials) is said in its notes, and it is then not ranked. Nothing is left out silently.
"""

from __future__ import annotations

__all__ = ["Cell", "Workload", "workloads_of"]

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.cells.limits import Evidence, LimitVerdict, may_use, verdict
from reports.histogram import PERCENTILES, Histogram, slot_values, summarize
from reports.key import CellKey
from reports.load import Load
from reports.metrics import (
    BANDWIDTH,
    CONNECT_MAX,
    CPU,
    GENERATOR,
    METRICS,
    P99,
    PSS_PER_CONNECTION,
    SERVER_CORES,
    THROUGHPUT,
    Metric,
    Trial,
    suited,
)
from reports.record import Run, Sample
from reports.stats import Interval, Ranks, median_intervals, percentile_interval, ranks_of
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


def workloads_of(run: Run, samples: Iterable[Sample]) -> list[Workload]:
    """Bring trials together, scenarios, models and interpreters in the run's order."""

    def workload_key(
        sample: Sample,
    ) -> tuple[int, str, int, int, int, int, str, list[tuple[int, str]], str]:
        return (
            _place(sample.cell.scenario, run.scenarios),
            sample.cell.scenario,
            sample.load.connections,
            sample.load.size_bytes,
            sample.load.idle_connections,
            sample.serving.backlog,
            sample.serving.placement,
            _natural(sample.cell.level),
            sample.cell.level,
        )

    interpreters = [str(each.get("name", "")) for each in run.interpreters]

    def subject_key(sample: Sample) -> tuple[int, int, CellKey]:
        cell = sample.cell
        return _place(cell.model, run.models), _place(cell.interpreter, interpreters), cell

    ordered = sorted(samples, key=lambda s: (workload_key(s), subject_key(s), s.block))
    workloads = []
    for _, group in groupby(ordered, key=workload_key):
        cells = [_cell(list(trials), run) for _, trials in groupby(group, key=subject_key)]
        models = tuple(cell for cell in cells if not cell.key.is_reference)
        reference = next((cell for cell in cells if cell.key.is_reference), None)
        if models:  # or the run ended before a trial of one was stored
            workloads.append(Workload(models[0].scenario, models[0].level, models, reference))
    return workloads


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _natural(words: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in words as numbers: 25% before 100%."""
    parts = re.split(r"(\d+)", words)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _cell(samples: Sequence[Sample], run: Run) -> Cell:
    # Without a window there is nothing to count: a failed trial, or one that was not tried.
    trials = tuple(
        Trial(sample) for sample in samples if not sample.failure and sample.tally.seconds
    )
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample.tally.errors)
    first = samples[0]
    figures = _figures(trials)
    return Cell(
        key=first.cell,
        asked=first,
        trials=trials,
        failures=tuple(sample.failure for sample in samples if sample.failure),
        errors=dict(errors),
        answered=Histogram.merge(trial.sample.tally.answered for trial in trials),
        unanswered=Histogram.merge(trial.sample.tally.unanswered for trial in trials),
        figures=figures,
        verdict=_verdict(trials, figures, gil=any(trial.sample.has_gil(run) for trial in trials)),
        stopped=next((sample.stopped for sample in samples if sample.stopped), ""),
    )


def _figures(trials: Sequence[Trial]) -> dict[str, Spread]:
    by_metric = {
        metric: values
        for metric in METRICS
        if (values := [value for value in map(metric.of, trials) if value is not None])
    }
    counted = {metric: values for metric, values in by_metric.items() if not metric.latency}
    figures = {
        metric.name: _spread(found)
        for metric, found in zip(counted, median_intervals(list(counted.values())), strict=True)
    }
    sources = {
        source: _Merged.of(trials, source)
        for source in dict.fromkeys(metric.source for metric in METRICS if metric.latency)
    }
    for metric in METRICS:
        if metric.latency and sources[metric.source].holds(metric):
            figures[metric.name] = sources[metric.source].spread(metric, by_metric.get(metric, []))
    return figures


def _spread(interval: Interval, scale: float = 1.0, *, at_least: bool = False) -> Spread:
    value, low, high = (bound / scale for bound in interval[:3])
    return Spread(value, low, high, interval.trials, at_least)


class _Merged(NamedTuple):
    """The durations of one source, of all trials of a cell together."""

    together: Mapping[str, float | bool | None]  # as `summarize` gives them
    counts: npt.NDArray[np.int64]  # by trial and slot, without the slots that nobody uses
    values: npt.NDArray[np.float64]  # what each of these slots counts as

    @classmethod
    def of(cls, trials: Sequence[Trial], source: str) -> _Merged:
        pairs = [trial.histograms(source) for trial in trials]
        done, never = (
            Histogram.merge(side) for side in (zip(*pairs, strict=True) if pairs else ((), ()))
        )
        used, _ = Histogram.merge([done, never]).used
        counts = [one.counts[used] + other.counts[used] for one, other in pairs]
        return cls(summarize(done, never), np.array(counts), slot_values()[used])

    def holds(self, metric: Metric) -> bool:
        """Whether there are durations enough for the figure."""
        return self.together[metric.latency] is not None

    def spread(self, metric: Metric, values: Sequence[float]) -> Spread:
        """Return a latency; its interval needs trials that each have one, given as `values`."""
        at_least = bool(self.together.get(f"{metric.latency}_at_least"))
        if metric.latency in PERCENTILES and len(values) == len(self.counts):
            percentile = PERCENTILES[metric.latency]
            found = percentile_interval(percentile, self.counts, self.values)
            return _spread(found, 1e3, at_least=at_least)
        value = float(self.together[metric.latency] or 0.0) / 1e3
        return Spread(
            value, min(values, default=value), max(values, default=value), len(values), at_least
        )


def _verdict(trials: Sequence[Trial], figures: dict[str, Spread], *, gil: bool) -> LimitVerdict:
    if not trials:
        return LimitVerdict("unclear", ())
    asked, load = trials[0].sample, trials[0].sample.load
    generator = figures[GENERATOR.name].value

    def median(of: Callable[[Trial], float]) -> float:
        return float(np.median([of(trial) for trial in trials]))

    ceilings = [found for trial in trials if (found := trial.sample.ceiling_requests_per_second)]
    closed_and_steady = not load.rate and not load.session
    return verdict(
        Evidence(
            server_cores=figures[SERVER_CORES.name].value,
            server_may_use=may_use(
                server_cpus=len(asked.server_cpus),
                shared=asked.shares_cpus,
                generator_cores=generator,
                processes=max(trial.sample.processes for trial in trials),
                gil=gil,
            ),
            generator_cores=generator,
            spins=load.spin,
            throughput=figures[THROUGHPUT.name].value,
            # A trial without it, as the last of a run that was interrupted, says nothing of it.
            ceiling=float(np.median(ceilings)) if ceilings else 0.0,
            asked_at_most=_asked_at_most(load),
            rate=load.rate,
            in_flight=median(
                lambda trial: (
                    tally.throughput * tally.answered.mean() / 1e9
                    if (tally := trial.sample.tally).answered.count
                    else 0.0
                )
            ),
            others=median(lambda trial: trial.sample.foreign_cpu_share + trial.sample.steal_share),
            # A connection that is being opened anew has no request outstanding.
            outstanding=median(lambda trial: trial.served * load.depth) * closed_and_steady,
        )
    )


def _asked_at_most(load: Load) -> float:
    """Return the requests per second of connections that each wait for their answers.

    0 where nothing but the server says how long an answer takes.
    """
    closed = load.kind == "WAIT" and load.argument and not load.rate
    return load.connections * load.depth * 1e6 / load.argument if closed else 0.0
