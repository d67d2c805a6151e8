"""Brings the trials of a run together: which are one cell, and what they say as one.

Medians over trials with the interval that `reports.stats` gives them; latencies from the merged
histogram. Nothing is left out silently: a failed trial is told with its cell.
"""

from __future__ import annotations

__all__ = ["workloads_of"]

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.cells.limits import Evidence, LimitVerdict, may_use, verdict
from reports.cells.workload import Cell, Spread, Workload
from reports.histogram import PERCENTILES, Histogram, slot_values, summarize
from reports.key import CellKey
from reports.load import Load
from reports.metrics import (
    GENERATOR,
    METRICS,
    SERVER_CORES,
    THROUGHPUT,
    Metric,
    Trial,
)
from reports.record import Run, Sample
from reports.stats import Interval, median_intervals, percentile_interval


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
