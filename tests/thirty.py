"""A made-up run of thirty models in nine families: what reports and charts must have room for.

    python -m tests.thirty DIR [BLOCKS]

stores one of eight workloads below DIR, for `python -m bench report --results DIR`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reports.histogram import Histogram
from reports.record import Run, Sample
from reports.store import FILE, RunFolder, Store
from tests.runs import SCENARIOS, Traits, at_rate, changed, failed, make_run, make_sample, starved

CATALOGUE: dict[str, tuple[str, Traits]] = {
    "serial": ("sequential", Traits(0.90, 7.2, 8.1, 8.2, 0.15)),
    "thread": ("threads", Traits(0.72, 14.0, 8.6, 12.4, 0.55)),
    "socketserver": ("threads", Traits(0.70, 14.8, 10.2, 14.1, 0.55)),
    "thread-pool": ("threads", Traits(0.71, 14.2, 11.9, 13.0, 0.50, workers=64)),
    "prethread": ("threads", Traits(0.74, 13.8, 11.7, 12.8, 0.52, workers=64)),
    "process": ("processes", Traits(0.80, 12.5, 8.5, 58.0, 0.60)),
    "forking": ("processes", Traits(0.78, 12.9, 10.1, 62.0, 0.60)),
    "process-pool": ("processes", Traits(0.78, 12.9, 55.0, 57.5, 0.65, workers=64)),
    "process-pool-spawn": ("processes", Traits(0.77, 13.0, 412.0, 418.0, 0.66, workers=64)),
    "process-pool-forkserver": ("processes", Traits(0.77, 13.0, 130.0, 134.0, 0.66, workers=64)),
    "prefork": ("processes", Traits(0.82, 12.1, 54.0, 56.0, 0.58, workers=64)),
    "prefork-reuseport": ("processes", Traits(0.83, 12.0, 54.5, 56.5, 0.70, workers=64)),
    "prefork-threads": ("hybrid", Traits(0.69, 14.9, 16.0, 19.0, 0.50, workers=64)),
    "prefork-asyncio": ("hybrid", Traits(0.52, 24.8, 30.0, 33.0, 0.35, workers=2)),
    "prefork-uvloop": ("hybrid", Traits(0.95, 11.2, 41.0, 44.0, 0.30, workers=2)),
    "thread-loops": ("hybrid", Traits(0.45, 27.0, 17.0, 19.5, 0.45, workers=2)),
    "asyncio-threads": ("hybrid", Traits(0.48, 25.1, 16.5, 18.4, 0.30, workers=64)),
    "asyncio-processes": ("hybrid", Traits(0.48, 25.2, 34.0, 36.5, 0.30, workers=2)),
    "reactor": ("event loop", Traits(1.35, 8.5, 8.7, 9.0, 0.18)),
    "epoll": ("event loop", Traits(1.55, 6.6, 8.2, 8.5, 0.15)),
    "asyncio": ("event loop", Traits(0.50, 24.5, 15.8, 17.2, 0.25)),
    "asyncio-protocol": ("event loop", Traits(0.85, 15.0, 15.5, 16.4, 0.22)),
    "asyncio-buffered": ("event loop", Traits(0.98, 12.9, 15.5, 16.2, 0.20)),
    "uvloop": ("event loop", Traits(0.92, 11.0, 20.0, 21.8, 0.20)),
    "uvloop-protocol": ("event loop", Traits(1.60, 6.9, 19.8, 20.9, 0.16)),
    "tornado": ("event loop", Traits(0.42, 29.0, 22.0, 24.0, 0.28)),
    "coroutine": ("coroutines", Traits(1.30, 8.8, 8.9, 9.3, 0.20)),
    "trio": ("coroutines", Traits(0.30, 41.0, 24.0, 27.5, 0.30)),
    "gevent": ("greenlets", Traits(0.68, 16.0, 22.5, 24.3, 0.25)),
    "subinterpreters": ("interpreters", Traits(0.61, 17.9, 48.0, 52.0, 0.60)),
}
"""The planned models with their families, and figures like those measured or to be expected."""

FORKS = {"process": 0.35, "forking": 0.31, "socketserver": 0.85}
"""What a connection of its own leaves of a model's speed, where it costs a process or a thread."""


def traits_of(model: str, scenario: str) -> Traits:
    """Return what a model is like under a load: cores for COMPUTE, forks under churn."""
    family, traits = CATALOGUE[model]
    if scenario == "compute":
        parallel = family in {"processes", "interpreters"} or "prefork" in model
        return replace(traits, speed=1.0 + 0.9 * (parallel or model == "asyncio-processes"))
    if scenario == "wait":
        return replace(traits, speed=1.0)
    return replace(
        traits, speed=traits.speed * (FORKS.get(model, 1.0) if scenario == "churn" else 1)
    )


def thirty_run(
    blocks: int = 10, scenarios: Sequence[str] = tuple(SCENARIOS)
) -> tuple[Run, Iterator[Sample]]:
    """Return a run of thirty models: `serial` starves, one model fails now and then, one always."""
    return _run(scenarios, blocks), (
        _troubled(make_sample(scenario, model, block, traits=traits_of(model, scenario)))
        for block in range(blocks)
        for scenario in scenarios
        for model in CATALOGUE
    )


MORE = {
    "echo-many": ("echo", "1,024 connections, 1 KiB", 0.9),
    "echo-few": ("echo", "1 connection, 1 KiB", 0.15),
}
"""Workloads beside those of every made-up run: like which, their level, and what speed is left."""


def thirty_by_eight(blocks: int = 10) -> tuple[Run, Iterator[Sample]]:
    """Return a run of thirty models under eight workloads, as large as `standard` may become.

    A cell's trials share their histograms, which is what a made-up run takes longest for.
    """
    scenarios = [*SCENARIOS, *MORE]
    first = [_first(scenario, model) for scenario in scenarios for model in CATALOGUE]
    run = _run(scenarios, blocks)
    return run, (_troubled(_again(sample, block)) for block in range(blocks) for sample in first)


def _first(scenario: str, model: str) -> Sample:
    like, level, share = MORE.get(scenario) or (scenario, SCENARIOS[scenario].level, 1.0)
    traits = traits_of(model, like)
    sample = make_sample(like, model, traits=replace(traits, speed=traits.speed * share))
    tally = sample.tally
    one = Histogram.encoded(tally.interval_latencies[0].encode())
    return changed(
        sample,
        scenario=scenario,
        level=level,
        answered=Histogram.encoded(tally.answered.encode()),
        connecting=Histogram.encoded(tally.connecting.encode()),
        interval_latencies=[one] * len(tally.interval_latencies),
    )


def _again(sample: Sample, block: int) -> Sample:
    """Return the same trial in another block: what is counted differs by a few per cent."""
    tally = sample.tally
    share = np.random.default_rng([block, *sample.cell.name.encode()]).normal(1, 0.03)
    return changed(
        sample,
        block=block,
        requests=int(tally.requests * share),
        interval_requests=[int(count * share) for count in tally.interval_requests],
        server_user_seconds=sample.server_user_seconds * share**2,
        server_system_seconds=sample.server_system_seconds * share**2,
        pss_loaded_bytes=int(sample.pss_loaded_bytes * share),
    )


def _run(scenarios: Sequence[str], blocks: int) -> Run:
    families = {model: family for model, (family, _) in CATALOGUE.items()}
    run = make_run(models=tuple(CATALOGUE), scenarios=scenarios, blocks=blocks)
    return replace(run, families=families)


def _troubled(sample: Sample) -> Sample:
    match sample.cell.scenario, sample.cell.model, sample.block:
        case "echo" | "wait" | "bulk" | "compute", "serial", _:
            return starved(sample)
        case "sessions", "subinterpreters", 3:
            return failed(sample, "the server ended with exit code 1\nInterpreterError: closed")
        case "bulk", "trio", _:
            return failed(sample, "the server gave no ready line within 10 s")
    return sample


def thirty_curve(blocks: int = 1) -> tuple[Run, Iterator[Sample]]:
    """Return a run in which thirty models are driven at shares of their capacities."""
    return _run(("curve",), blocks), (
        at_rate(
            make_sample("echo", model, block, traits=traits_of(model, "echo")),
            share * 60_000 * traits.speed,
            f"64 connections, 1 KiB, {share:.0%} of its own capacity",
            capacity=60_000 * traits.speed,
            cpu_us=traits.cpu_us,
        )
        for block in range(blocks)
        for share in (0.1, 0.4, 0.7, 0.85, 1.0, 1.2)
        for model, (_, traits) in CATALOGUE.items()
    )


def store(root: Path, run: Run, samples: Iterator[Sample]) -> RunFolder:
    """Store a run below `root`, not waiting for the disk after each trial; return its folder."""
    folder = Store(root).create(run)
    with (folder.path / FILE).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(sample.to_json()) + "\n" for sample in samples)
    return folder


if __name__ == "__main__":
    print(store(Path(sys.argv[1]), *thirty_by_eight(int(sys.argv[2]) if sys.argv[2:] else 10)).path)
