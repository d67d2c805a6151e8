"""Made-up runs for the tests of the reports: plausible figures, and every kind of trouble.

`standard_run()` has all models, six scenarios, five blocks, and in it `serial`, which serves one
connection and starves the rest; a model one of whose trials failed, one that never started, one
whose connections were reset, and latencies that unanswered requests bound from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from clients.load import ERROR_KINDS
from reports.histogram import Histogram, slot_of
from reports.key import CellKey
from reports.load import Load
from reports.record import Run, Sample
from reports.serving import Serving
from reports.tally import Tally

MACHINE = {
    "cpu": "AMD EPYC 7B13",
    "cpus": 2,
    "cpus_allowed": 2,
    "memory_bytes": 8 * 2**30,
    "hypervisor": True,
    "kernel": "Linux 6.1.0-28-amd64 x86_64",
    "python": "CPython 3.11.2",
    "gil": True,
    "libraries": {"numpy": "2.4.6"},
    "commit": "ca008a6b1234",
}


@dataclass(frozen=True, slots=True)
class _Scenario:
    name: str
    level: str
    connections: int
    kind: str
    size_bytes: int
    per_second: float  # answers of a model of speed 1
    session: int = 0
    argument: int = 0
    placement: str = "split"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a made-up model is like."""

    speed: float
    cpu_us: float  # of an echo
    idle_mib: float
    loaded_mib: float
    sigma: float  # how widely its latencies scatter
    workers: int = 0


SCENARIOS = {
    row.name: row
    for row in (
        _Scenario("echo", "64 connections, 1 KiB", 64, "ECHO", 1024, 60_000),
        _Scenario("churn", "16 connections, 1 request each, 64 B", 16, "ECHO", 64, 9_000, 1),
        _Scenario(
            "sessions", "64 connections, 20 requests each, 1 KiB", 64, "ECHO", 1024, 45_000, 20
        ),
        _Scenario(
            "compute", "8 connections, 75,000 rounds, free", 8, "COMPUTE", 64, 420,
            argument=75_000, placement="free",
        ),
        _Scenario(
            "wait", "64 connections, 20 ms, free", 64, "WAIT", 64, 3_100,
            argument=20_000, placement="free",
        ),
        _Scenario("bulk", "8 connections, 256 KiB", 8, "ECHO", 262_144, 5_200),
    )
}  # fmt: skip

MODELS = {
    "serial": Traits(0.9, 7.2, 8.1, 8.2, 0.15),
    "thread": Traits(0.72, 14.0, 8.6, 12.4, 0.55),
    "process": Traits(0.80, 12.5, 8.5, 58.0, 0.60),
    "socketserver": Traits(0.70, 14.8, 10.2, 14.1, 0.55),
    "thread-pool": Traits(0.71, 14.2, 11.9, 13.0, 0.50, workers=64),
    "process-pool": Traits(0.78, 12.9, 55.0, 57.5, 0.65, workers=64),
    "coroutine": Traits(1.3, 8.8, 8.9, 9.3, 0.20),
    "asyncio": Traits(0.5, 24.5, 15.8, 17.2, 0.25),
}

WINDOW_SECONDS = 0.6
INTERVAL_SECONDS = 0.05
_QUANTILES = (np.arange(200) + 0.5) / 200


def spread_out(median_ns: float, sigma: float, count: int) -> Histogram:
    """Return `count` latencies that scatter log-normally around a median."""
    normal = NormalDist()
    shares = np.diff(np.floor(np.linspace(0, count, len(_QUANTILES) + 1))).astype(int)
    values = [int(median_ns * np.exp(sigma * normal.inv_cdf(q))) for q in _QUANTILES]
    slowest = int(median_ns * np.exp(sigma * 5))
    pairs = [(slot_of(value), int(n)) for value, n in zip(values, shares, strict=True)]
    return Histogram.from_pairs([*pairs, (slot_of(slowest), count // 2000)])


def make_run(
    models: Sequence[str] = tuple(MODELS),
    scenarios: Sequence[str] = tuple(SCENARIOS),
    blocks: int = 5,
) -> Run:
    """Return the first line of a run."""
    return Run(
        id="20261123-183000-standard",
        started="2026-11-23T18:30:00+00:00",
        profile="standard",
        seed=7,
        models=list(models),
        scenarios=list(scenarios),
        blocks=blocks,
        window_seconds=WINDOW_SECONDS,
        warm_up_seconds=0.15,
        machine=MACHINE,
    )


def make_sample(
    scenario: str = "echo",
    model: str = "thread",
    block: int = 0,
    *,
    seed: int = 0,
    traits: Traits | None = None,
) -> Sample:
    """Return one good trial, of a model of `traits` or of one of MODELS."""
    load, traits = SCENARIOS[scenario], traits or MODELS[model]
    rng = np.random.default_rng([seed, block, *scenario.encode(), *model.encode()])
    requests = int(load.per_second * traits.speed * WINDOW_SECONDS * rng.normal(1, 0.05))
    median_ns = load.connections / requests * WINDOW_SECONDS * 1e9
    if load.kind == "WAIT":
        median_ns = max(median_ns, 20.4e6)
    steps = round(WINDOW_SECONDS / INTERVAL_SECONDS)
    in_steps = [int(requests / steps * rng.normal(1, 0.08)) for _ in range(steps)]
    histogram = spread_out(median_ns, traits.sigma, requests)
    cpu_seconds = traits.cpu_us * 1e-6 * requests * rng.normal(1, 0.03)
    fair = rng.multinomial(requests, np.full(load.connections, 1 / load.connections))
    return Sample(
        run="20261123-183000-standard",
        cell=CellKey(scenario, load.level, model),
        block=block,
        started="2026-11-23T18:30:10+00:00",
        load=Load(
            connections=load.connections,
            session=load.session,
            kind=load.kind,
            size_bytes=load.size_bytes,
            argument=load.argument,
            seed=block,
        ),
        serving=Serving(workers=traits.workers, placement=load.placement),
        server_cpus=[0],
        client_cpus=[1],
        tally=Tally(
            seconds=WINDOW_SECONDS,
            requests=requests,
            errors=dict.fromkeys(ERROR_KINDS, 0),
            answered=histogram,
            connecting=spread_out(60_000, 0.3, load.connections),
            requests_per_connection=fair.tolist(),
            interval_seconds=INTERVAL_SECONDS,
            interval_requests=in_steps,
            interval_latencies=[
                spread_out(median_ns * rng.normal(1, 0.05), traits.sigma, count)
                for count in in_steps
            ],
            generator_cpu_seconds=0.55 * WINDOW_SECONDS,
        ),
        server_user_seconds=cpu_seconds * 0.45,
        server_system_seconds=cpu_seconds * 0.55,
        voluntary_switches=requests // 2,
        involuntary_switches=requests // 90,
        minor_faults=requests // 40,
        pss_idle_bytes=int(traits.idle_mib * 2**20 * rng.normal(1, 0.01)),
        pss_loaded_bytes=int(traits.loaded_mib * 2**20 * rng.normal(1, 0.01)),
        processes=1,
        threads=load.connections + 1,
        descriptors=load.connections + 6,
        ready_seconds=0.06,
        first_answer_seconds=0.061,
        served_before=True,
    )


def changed(sample: Sample, **changes: Any) -> Sample:
    """Return the sample with fields of its own, or of what it contains, changed."""
    parts = ("cell", "load", "serving", "tally")
    whole: dict[str, Any] = {name: getattr(sample, name) for name in parts}
    for name, value in changes.items():
        owner = next((each for each in whole if name in names_of(whole[each])), None)
        if owner == "cell":
            whole["cell"] = whole["cell"]._replace(**{name: value})
        elif owner:
            whole[owner] = replace(whole[owner], **{name: value})
    own = {name: value for name, value in changes.items() if name in names_of(sample)}
    return replace(sample, **whole | own)


def names_of(value: Any) -> set[str]:
    """Return the names of the fields of a dataclass or a named tuple."""
    return set(getattr(value, "_fields", ())) or {each.name for each in fields(value)}


def starved(sample: Sample) -> Sample:
    """Return the trial as a server would give it that serves a single connection to its end."""
    others = sample.load.connections - 1
    return changed(
        sample,
        unanswered=Histogram.of([int(1.75e9)] * others),
        errors={**sample.tally.errors, "unfinished": others},
        requests_per_connection=[sample.tally.requests] + [0] * others,
    )


def with_resets(sample: Sample, count: int) -> Sample:
    """Return the trial with `count` connections reset."""
    return changed(sample, errors={**sample.tally.errors, "reset": count})


def failed(sample: Sample, failure: str) -> Sample:
    """Return the trial as it is stored when the server never answered."""
    return changed(
        sample,
        failure=failure,
        seconds=0.0,
        requests=0,
        answered=Histogram(),
        unanswered=Histogram(),
        connecting=Histogram(),
        requests_per_connection=[],
        interval_requests=[],
        interval_latencies=[],
        server_user_seconds=0.0,
        server_system_seconds=0.0,
        pss_idle_bytes=0,
        pss_loaded_bytes=0,
    )


def _troubled(sample: Sample) -> Sample:
    match sample.cell.scenario, sample.cell.model, sample.block:
        case "echo" | "wait" | "bulk" | "compute", "serial", _:
            return starved(sample)
        case "churn", "socketserver", 1 | 3:
            return with_resets(sample, 6)
        case "wait", "process-pool", 2:
            return failed(sample, "the server ended with exit code 1\nBrokenProcessPool: a child")
        case "bulk", "process", _:
            return failed(sample, "the server gave no ready line within 10 s")
    return sample


@cache
def standard_run(
    blocks: int = 5, scenarios: Sequence[str] = tuple(SCENARIOS)
) -> tuple[Run, tuple[Sample, ...]]:
    """Return the whole run described above, its trials in the order in which a run stores them."""
    samples = tuple(
        _troubled(make_sample(scenario, model, block))
        for block in range(blocks)
        for scenario in scenarios
        for model in MODELS
    )
    return make_run(scenarios=scenarios, blocks=blocks), samples


def at_rate(
    sample: Sample,
    rate: float,
    level: str,
    *,
    capacity: float,
    scenario: str = "curve",
    cpu_us: float = 0.0,
) -> Sample:
    """Return the trial as an open loop: flat up to its capacity, unanswered requests beyond."""
    load, cpu_us = rate / capacity, cpu_us or MODELS[sample.cell.model].cpu_us
    wait_ns = 200_000 * (1 + min(load, 0.999) ** 4 / (1 - min(load, 0.97)))
    requests = int(min(rate, capacity) * WINDOW_SECONDS)
    late = int(max(0.0, rate - capacity) * WINDOW_SECONDS)
    response_ns = wait_ns + max(0.0, load - 1) * WINDOW_SECONDS * 1e9
    return changed(
        sample,
        scenario=scenario,
        level=level,
        rate=rate,
        arrivals="uniform",
        spin=True,
        requests=requests,
        errors={**sample.tally.errors, "unfinished": late},
        answered=spread_out(response_ns, 0.3, requests),
        services=spread_out(200_000, 0.3, requests),
        send_lags=spread_out(400, 0.3, requests),
        unanswered=Histogram.of([int(2 * response_ns)] * late),
        server_user_seconds=cpu_us * 0.45e-6 * requests,
        server_system_seconds=cpu_us * 0.55e-6 * requests,
        generator_cpu_seconds=WINDOW_SECONDS,
    )


@cache
def studies_run(blocks: int) -> tuple[Run, tuple[Sample, ...]]:
    """Return a run of the open loop, of idle connections and of backlogs.

    Models bend at their own capacity; `thread` stops at 10,000 idle connections, which `serial`
    never serves.
    """
    samples: list[Sample] = []
    for block in range(blocks):
        for model in MODELS:
            echo = make_sample("echo", model, block)
            capacity = 60_000 * MODELS[model].speed
            samples += [
                at_rate(
                    echo, share * capacity, capacity=capacity,
                    level=f"64 connections, 1 KiB, {share:.0%} of its own capacity",
                )
                for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2)
            ]  # fmt: skip
            samples += [
                at_rate(
                    echo, rate, f"64 connections, 1 KiB, {rate:,.0f}/s", capacity=capacity,
                    scenario="rate",
                )
                for rate in (7_500.0, 15_000.0)
            ]  # fmt: skip
            samples += [_idle(model, block, idle) for idle in (10, 100, 1_000, 10_000)]
            samples += [_burst(model, block, backlog) for backlog in (5, 128, 1024)]
    run = make_run(scenarios=("rate", "curve", "connections", "backlog"), blocks=blocks)
    return replace(run, wake_up_ns={"same": 5_200.0, "split": 98_000.0}), tuple(samples)


def _idle(model: str, block: int, idle: int) -> Sample:
    base = make_sample("churn", model, block)
    per_connection = {"process": 700_000, "thread": 60_000}.get(model, 3_000)
    sample = changed(
        base,
        scenario="connections",
        level=f"16 connections, 64 B, {idle:,} idle",
        session=0,
        idle_connections=idle,
        idle_served=idle,
        pss_loaded_bytes=base.pss_idle_bytes + (idle + 16) * per_connection,
        threads=idle + 17 if model in {"thread", "socketserver"} else 1,
        processes=idle + 17 if model == "process" else 1,
    )
    if model == "serial":
        return changed(
            starved(sample), idle_served=0, stopped="0 of 10 idle connections were served"
        )
    if model in {"thread", "process"} and idle == 10_000:
        untried = failed(sample, "")
        return changed(
            untried, stopped="stopped at 1,000 idle connections: 10,000 would take 6.5 GiB"
        )
    return sample


def _burst(model: str, block: int, backlog: int) -> Sample:
    base = make_sample("churn", model, block)
    refused = 200 if backlog == 5 else 0
    return changed(
        base,
        scenario="backlog",
        level=f"256 connections, 64 B, backlog {backlog:,}",
        connections=256,
        session=0,
        backlog=backlog,
        connecting=spread_out(1.1e9 if refused else 2e6, 0.2, 256),
        connect_retries=refused,
        requests_per_connection=[base.tally.requests // 256] * 256,
    )
