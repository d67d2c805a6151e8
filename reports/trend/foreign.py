"""Results as files hold them: our runs, pytest-benchmark's JSON and pyperf's. Opens no file.

pytest-benchmark 5: `benchmarks[]` with `name` and `stats`, whose `data` (the rounds, in
seconds) is there only when it was asked for. pyperf's format 1.0: `benchmarks[].runs[]`, a process
each; one without `values` only calibrated. A benchmark's name and unit are in its `metadata` or in
that of the file.
"""

from __future__ import annotations

__all__ = ["InvalidResultsError", "UnreadableError", "results_of_json", "results_of_run", "run_of"]

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.cells.gathering import workloads_of
from reports.record import RecordError, Run, Sample
from reports.trend.compare import Logs, Results, Series
from reports.trend.history import TREND_METRICS
from reports.untrusted import UntrustedError, checked, number, quoted, read_json, take

LEAST, MOST = 1e-15, 1e15
"""What a value may be in its unit: a femtosecond and 30 million years. Between them no ratio and no
interval is beyond what a float holds."""
MOST_LETTERS = 1_000  # of a name


class UnreadableError(ValueError):
    """Something that holds no results; the message is a sentence."""

    exit_code = 2  # the user named the wrong thing


class InvalidResultsError(UnreadableError):
    """Results with a field that cannot be; the message names it."""

    exit_code = 3  # the right thing, and it is broken


def results_of_json(label: str, values: object) -> Results:
    """Return the results in a JSON document; UnreadableError when it is neither format.

    InvalidResultsError when it is one of them, and something in it cannot be.
    """
    if not isinstance(values, dict) or "benchmarks" not in values:
        raise UnreadableError(f"{label} is no result of ours, of pytest-benchmark or of pyperf")
    try:
        rows = take(values, "benchmarks", list[dict[str, Any]])
        if any("runs" in row for row in rows):
            return _pyperf(label, values, rows)
        return _pytest_benchmark(label, values, rows)
    except UntrustedError as error:
        raise InvalidResultsError(f"{label} is not as it should be: {error}") from error


def _pytest_benchmark(
    label: str, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Results:
    series = {}
    names = Counter(_name(row, "name") for row in rows)
    for row in rows:
        name = row["name"] if names[row["name"]] == 1 else _name(row, "fullname")
        series[name] = Series(unit="s", logs=_logs(name, take(row, "stats", dict[str, Any])))
    machine = _part(values, "machine_info")
    if "python_implementation" in machine:  # the plug-in's own; our experiments store ours
        system, release, kind, python, version = (
            take(machine, name, str)
            for name in (
                "system", "release", "machine", "python_implementation", "python_version",
            )
        )  # fmt: skip
        machine = {
            "cpu": _part(machine, "cpu").get("brand_raw", "unknown"),
            "kernel": f"{system} {release} {kind}",
            "python": f"{python} {version}",
        }
    return Results(label=label, machine=machine, series=series, within_process=True)


def _logs(name: str, stats: Mapping[str, Any]) -> Logs:
    """Return the rounds of a benchmark, or what there is of them: mean, deviation and number."""
    if stats.get("data"):
        return Logs.of([_value(f"{name}: data", each) for each in take(stats, "data", list[Any])])
    mean = _value(f"{name}: mean", take(stats, "mean", float))
    rounds = take(stats, "rounds", int)
    number(f"{name}: rounds", rounds, least=1)
    deviation = number(f"{name}: stddev", take(stats, "stddev", float), least=0)
    # All of the sum in one round: no sample of positive values deviates by more than this.
    if deviation > mean * rounds**0.5 * (1 + 1e-9):
        raise UntrustedError(f"{name}: stddev is {quoted(deviation)}, too great for its mean")
    return Logs.of_summary(mean, deviation, rounds)


def _pyperf(label: str, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Results:
    shared = _part(values, "metadata")
    series, troubles = {}, {}
    for row in rows:
        metadata = {**shared, **_part(row, "metadata")}
        name = _name(metadata, "name") if "name" in metadata else "benchmark"
        runs = take(row, "runs", list[dict[str, Any]])
        means = [
            float(np.mean([_value(f"{name}: values", each) for each in found]))
            for run in runs
            if "values" in run and (found := take(run, "values", list[Any]))
        ]
        if means:
            unit = take(metadata, "unit", str) if "unit" in metadata else "second"
            series[name] = Series(unit="s" if unit == "second" else unit, logs=Logs.of(means))
        else:
            troubles[name] = "no run has a value"
    # One benchmark's metadata has what all have in common when the file has no other.
    machine = _pyperf_machine({**_part(rows[0], "metadata"), **shared})
    return Results(label=label, machine=machine, series=series, troubles=troubles)


def _pyperf_machine(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return what pyperf's metadata has of a fingerprint, written as bench.measure.machine does."""
    machine = {}
    if "cpu_model_name" in metadata:
        machine["cpu"] = take(metadata, "cpu_model_name", str)
    if "platform" in metadata:  # Linux-6.1.0-28-amd64-x86_64-with-glibc2.36
        platform = take(metadata, "platform", str)
        system, _, release = platform.partition("-with-")[0].partition("-")
        machine["kernel"] = " ".join([system, *release.rsplit("-", 1)])
    if "python_version" in metadata:  # 3.11.2 (64-bit)
        name = metadata.get("python_implementation", "cpython")
        version = take(metadata, "python_version", str).partition(" ")[0]
        machine["python"] = f"{'CPython' if name == 'cpython' else name} {version}"
    return machine


def _value(name: str, value: object) -> float:
    """Return a value whose logarithm is taken."""
    return number(name, value, least=LEAST, most=MOST)


def _name(values: Mapping[str, Any], field: str) -> str:
    name = take(values, field, str)
    if len(name) > MOST_LETTERS:
        raise UntrustedError(f"{field} has more than {MOST_LETTERS:,} letters: {quoted(name)}")
    return name


def _part(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object that need not be there."""
    return take(values, name, dict[str, Any]) if name in values else {}


def run_of(label: str, text: bytes) -> tuple[Run, list[Sample]]:
    """Return a run of ours from the lines of its file; UnreadableError when they are none."""
    try:
        first, *others = map(read_json, text.splitlines())
        return Run.from_json(_object(first)), [Sample.from_json(_object(each)) for each in others]
    except (ValueError, RecordError) as error:
        raise UnreadableError(
            f"{label} is no result of ours, of pytest-benchmark or of pyperf: {error}"
        ) from error


def _object(values: object) -> dict[str, Any]:
    return checked("a line", values, dict[str, Any])


def results_of_run(
    label: str, run: Run, samples: Sequence[Sample], metrics: Sequence[str]
) -> Results:
    """Return the results of a run of ours, each trial a value; `metrics` are rows of TREND_METRICS.

    InvalidResultsError when a figure of it cannot be.
    """
    try:
        return _results_of_run(label, run, samples, metrics)
    except (ValueError, ArithmeticError) as error:
        raise InvalidResultsError(f"{label} has a figure that cannot be: {error}") from error


def _results_of_run(
    label: str, run: Run, samples: Sequence[Sample], metrics: Sequence[str]
) -> Results:
    workloads = workloads_of(run, samples)
    scenarios = [workload.scenario for workload in workloads]
    series: dict[str, Series] = {}
    troubles: dict[str, str] = {}
    for workload in workloads:
        # The level is in the name only where a scenario has several.
        alone = scenarios.count(workload.scenario) == 1
        load = workload.scenario if alone else f"{workload.scenario} ({workload.level})"
        for cell in workload.cells:
            name = f"{cell.subject}/{load}"
            wrong = [kind for kind, count in cell.errors.items() if count and kind != "unfinished"]
            if not all(trial.sample.tally.requests for trial in cell.trials):
                wrong.append("a trial without an answer")
            if cell.failures or wrong:
                troubles[name] = ", ".join(
                    [*(each.splitlines()[0] for each in cell.failures), *wrong]
                )
                continue
            if cell.served[0] < cell.load.connections:
                # Said, and held against B when A served them all; `serial` never does.
                troubles[f"{name}/served"] = "not every connection was served"
            for metric in metrics:
                row = TREND_METRICS[metric]
                if row.name in cell.figures and cell.figures[row.name].at_least:
                    troubles[f"{name}/{metric}"] = "a lower bound: unanswered requests reach it"
                    continue
                values = [value for value in cell.by_block(row).values() if value > 0]
                if values:
                    series[f"{name}/{metric}"] = Series(
                        unit=row.unit,
                        logs=Logs.of(values),
                        more_is_better=row.more_is_better,
                        runs_under=cell.runs_under,
                    )
    return Results(label=label, machine=run.machine, series=series, troubles=troubles, run=run.id)
