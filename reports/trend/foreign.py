"""Results as files hold them: our runs, pytest-benchmark's JSON and pyperf's. Opens no file.

pytest-benchmark 5: `benchmarks[]` with `name` and `stats`, whose `data` (the rounds, in
seconds) is there only when it was asked for. pyperf's format 1.0: `benchmarks[].runs[]`, a process
each; one without `values` only calibrated. A benchmark's name and unit are in its `metadata` or in
that of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.cells.workload import workloads_of
from reports.record import RecordError, Run, Sample
from reports.trend.compare import Logs, Results, Series
from reports.trend.history import METRICS


class UnreadableError(ValueError):
    """Something that holds no results; the message is a sentence."""


def results_of_json(label: str, values: Any) -> Results:
    """Return the results in a JSON document; UnreadableError when it is neither format."""
    try:
        if isinstance(values, dict) and "benchmarks" in values:
            if any("runs" in row for row in values["benchmarks"]):
                return _pyperf(label, values)
            return _pytest_benchmark(label, values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"{label} is not as it should be: {error!r}") from error
    raise UnreadableError(f"{label} is no result of ours, of pytest-benchmark or of pyperf")


def _pytest_benchmark(label: str, values: Mapping[str, Any]) -> Results:
    series = {}
    names = [row["name"] for row in values["benchmarks"]]
    for row in values["benchmarks"]:
        stats = row["stats"]
        logs = (
            Logs.of(stats["data"])
            if stats.get("data")
            else Logs.of_summary(stats["mean"], stats["stddev"], stats["rounds"])
        )
        name = row["name"] if names.count(row["name"]) == 1 else row["fullname"]
        series[name] = Series(unit="s", logs=logs)
    machine = values.get("machine_info", {})
    if "python_implementation" in machine:  # the plug-in's own; our experiments store ours
        machine = {
            "cpu": machine.get("cpu", {}).get("brand_raw", "unknown"),
            "kernel": f"{machine['system']} {machine['release']} {machine['machine']}",
            "python": f"{machine['python_implementation']} {machine['python_version']}",
        }
    return Results(label=label, machine=machine, series=series, within_process=True)


def _pyperf(label: str, values: Mapping[str, Any]) -> Results:
    shared = values.get("metadata", {})
    series, troubles = {}, {}
    for row in values["benchmarks"]:
        metadata = {**shared, **row.get("metadata", {})}
        name = metadata.get("name", "benchmark")
        means = [float(np.mean(run["values"])) for run in row["runs"] if run.get("values")]
        if means:
            unit = metadata.get("unit", "second")
            series[name] = Series(unit="s" if unit == "second" else unit, logs=Logs.of(means))
        else:
            troubles[name] = "no run has a value"
    # One benchmark's metadata has what all have in common when the file has no other.
    machine = _pyperf_machine({**values["benchmarks"][0].get("metadata", {}), **shared})
    return Results(label=label, machine=machine, series=series, troubles=troubles)


def _pyperf_machine(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return what pyperf's metadata has of a fingerprint, written as bench.measure.machine does."""
    machine = {}
    if "cpu_model_name" in metadata:
        machine["cpu"] = metadata["cpu_model_name"]
    if "platform" in metadata:  # Linux-6.1.0-28-amd64-x86_64-with-glibc2.36
        system, _, release = metadata["platform"].partition("-with-")[0].partition("-")
        machine["kernel"] = " ".join([system, *release.rsplit("-", 1)])
    if "python_version" in metadata:  # 3.11.2 (64-bit)
        name = metadata.get("python_implementation", "cpython")
        version = metadata["python_version"].split()[0]
        machine["python"] = f"{'CPython' if name == 'cpython' else name} {version}"
    return machine


def run_of(label: str, text: str) -> tuple[Run, list[Sample]]:
    """Return a run of ours from the lines of its file; UnreadableError when they are none."""
    try:
        first, *others = map(json.loads, text.splitlines())
        return Run.from_json(first), [Sample.from_json(values) for values in others]
    except (ValueError, AttributeError, RecordError) as error:
        raise UnreadableError(
            f"{label} is no result of ours, of pytest-benchmark or of pyperf: {error}"
        ) from error


def results_of_run(
    label: str, run: Run, samples: Sequence[Sample], metrics: Sequence[str]
) -> Results:
    """Return the results of a run of ours, each trial a value; `metrics` are rows of METRICS."""
    workloads = workloads_of(run, samples)
    scenarios = [workload.scenario for workload in workloads]
    series: dict[str, Series] = {}
    troubles: dict[str, str] = {}
    for workload in workloads:
        # The level is in the name only where a scenario has several.
        alone = scenarios.count(workload.scenario) == 1
        load = workload.scenario if alone else f"{workload.scenario} ({workload.level})"
        for cell in workload.cells:
            name = f"{cell.model}/{load}"
            wrong = [kind for kind, count in cell.errors.items() if count and kind != "unfinished"]
            if not all(trial.sample.requests for trial in cell.trials):
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
                row = METRICS[metric]
                if row.name in cell.figures and cell.figures[row.name].at_least:
                    troubles[f"{name}/{metric}"] = "a lower bound: unanswered requests reach it"
                    continue
                values = [value for value in cell.by_block(row).values() if value > 0]
                if values:
                    series[f"{name}/{metric}"] = Series(
                        unit=row.unit, logs=Logs.of(values), more_is_better=row.more_is_better
                    )
    return Results(label=label, machine=run.machine, series=series, troubles=troubles)
