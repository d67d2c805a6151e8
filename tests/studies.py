"""Made-up runs of the studies: figures that are known, so that what is said of them is, too.

    python -m tests.studies DIR

stores one below DIR, of all studies and thirty models, for `python -m bench report --results DIR`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.plan.studies import STUDIES
from reports.record import Run, Sample
from tests.runs import (
    WINDOW_SECONDS,
    Traits,
    at_rate,
    changed,
    failed,
    make_run,
    make_sample,
    spread_out,
    starved,
)
from tests.studies_datagrams import all_of_datagrams

CHURN_RATE = 400.0


def study_run(models: Mapping[str, Traits], families: Mapping[str, str], blocks: int = 3) -> Run:
    """Return the first line of a run of all studies."""
    run = make_run(tuple(models), (*STUDIES,), blocks)
    return replace(run, profile="studies", families=dict(families))


def cost_sample(model: str, block: int, cpu_us: float, traits: Traits | None = None) -> Sample:
    """Return a trial of connection-cost in which a connection takes so much CPU."""
    return at_rate(
        make_sample("churn", model, block, traits=traits),
        CHURN_RATE,
        f"16 connections, 1 request each, 64 B, {CHURN_RATE:,.0f}/s",
        capacity=4_000,
        scenario="connection-cost",
        cpu_us=cpu_us,
    )


def scaling_sample(
    model: str, block: int, connections: int, per_second: float, traits: Traits | None = None
) -> Sample:
    """Return a trial of scaling with so many connections and answers."""
    echo = make_sample("echo", model, block, traits=traits)
    requests = int(per_second * WINDOW_SECONDS)
    return changed(
        echo,
        scenario="scaling",
        level=f"{connections:,} connections, 1 KiB",
        connections=connections,
        requests=requests,
        requests_per_connection=[max(1, requests // connections)] * connections,
        answered=spread_out(connections / per_second * 1e9, 0.3, requests),
    )


def company_sample(
    model: str, block: int, company: int, p99_ms: float, traits: Traits | None = None
) -> Sample:
    """Return a trial of company whose small requests have about that p99."""
    base = at_rate(
        make_sample("churn", model, block, traits=traits),
        200.0,
        "8 connections, 64 B, 200/s" + (f", company of {company}" if company else ""),
        capacity=4_000,
        scenario="company",
        cpu_us=20.0,
    )
    return changed(
        base,
        connections=8,
        session=0,
        size_bytes=64,
        company=company,
        company_requests=int(300 * WINDOW_SECONDS) if company else 0,
        requests_per_connection=[100] * 8,
        requests=2_000,
        answered=spread_out(p99_ms / 2 * 1e6, 0.3, 2_000),
    )


def idle_sample(
    model: str, block: int, idle: int, kib_each: float, traits: Traits | None = None
) -> Sample:
    """Return a rung of the ladder at which each connection takes so many KiB."""
    base = make_sample("churn", model, block, traits=traits)
    return changed(
        base,
        scenario="idle-ladder",
        level=f"16 connections, 64 B, {idle:,} idle",
        session=0,
        idle_connections=idle,
        idle_served=idle,
        open_seconds=idle / 15_000,
        engine_processes=1 + idle // 20_000,
        pss_loaded_bytes=base.pss_idle_bytes + int((idle + 16) * kib_each * 1024),
    )


def beyond(sample: Sample, why: str) -> Sample:
    """Return the trial of a rung that was not tried."""
    return changed(failed(sample, ""), stopped=why)


def memory_sample(
    model: str, block: int, connections: int, size_bytes: int, mib: float,
    traits: Traits | None = None,
) -> Sample:  # fmt: skip
    """Return a trial of memory after which the server holds so many MiB."""
    size = f"{size_bytes // 1024} KiB"
    return changed(
        make_sample("bulk", model, block, traits=traits),
        scenario="memory",
        level=f"{connections} connections, {size}",
        connections=connections,
        size_bytes=size_bytes,
        requests_per_connection=[10] * connections,
        pss_loaded_bytes=int(mib * 2**20),
    )


def placed_sample(model: str, block: int, placement: str, per_second: float) -> Sample:
    """Return a trial of echo at a placement, with so many answers a second."""
    echo = make_sample("echo", model, block)
    requests = int(per_second * WINDOW_SECONDS)
    cpus = {"split": [0], "free": [0, 1]}[placement]
    level = echo.cell.level + (f", {placement}" if placement != "split" else "")
    return changed(
        echo, level=level, placement=placement, server_cpus=cpus, requests=requests,
        server_user_seconds=0.3, server_system_seconds=0.3,
    )  # fmt: skip


def cores_sample(
    model: str, block: int, cpus: int, per_second: float, traits: Traits | None = None
) -> Sample:
    """Return a trial of cores with so many CPUs of the server and answers."""
    compute = make_sample("compute", model, block, traits=traits)
    return changed(
        compute,
        scenario="cores",
        level=f"32 connections, 75,000 rounds, free, server on {cpus} CPU{'s' * (cpus > 1)}",
        connections=32,
        requests=int(per_second * WINDOW_SECONDS),
        requests_per_connection=[int(per_second * WINDOW_SECONDS / 32)] * 32,
        server_cpus=list(range(cpus)),
    )


def all_studies(
    catalogue: Mapping[str, tuple[str, Traits]], blocks: int = 3
) -> tuple[Run, list[Sample]]:
    """Return a run of every study for models of all kinds; `serial` starves and threads stop."""
    samples: list[Sample] = []
    for block in range(1, blocks + 1):
        for model, (_, traits) in catalogue.items():
            jitter = 1 + 0.02 * (block % 3)
            samples.append(cost_sample(model, block, traits.cpu_us * 8 * jitter, traits))
            capacity = 60_000 * traits.speed
            for connections in (1, 4, 16, 64, 256, 1_000):
                saturation = connections / (connections + 3) * (1 - connections / 4_000)
                sample = scaling_sample(
                    model, block, connections, capacity * saturation * jitter, traits
                )
                samples.append(starved(sample) if model == "serial" and connections > 1 else sample)
            for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2):
                level = f"64 connections, 1 KiB, {share:.0%} of its own capacity"
                echo = make_sample("echo", model, block, traits=traits)
                samples.append(
                    at_rate(echo, share * capacity, level, capacity=capacity, cpu_us=traits.cpu_us)
                )
            for company in (0, 1, 2, 4, 8):
                p99 = 0.3 + company * traits.sigma * 6 * jitter
                samples.append(company_sample(model, block, company, p99, traits))
            samples += [
                cores_sample(model, block, cpus, 400 * cpus**0.9 * jitter, traits)
                for cpus in (1, 2, 4)
            ]
            for idle in (100, 1_000, 10_000, 19_000, 50_000):
                each = max(3.0, (traits.loaded_mib - traits.idle_mib) * 16)
                rung = idle_sample(model, block, idle, each, traits)
                why = "stopped at 19,000 idle connections: 50,000 would take 50,007 descriptors"
                samples.append(beyond(rung, why) if idle > 19_000 else rung)
            for connections in (8, 64):
                for size in (1024, 262_144):
                    mib = traits.loaded_mib + connections * size / 2**20 * traits.sigma * 3
                    samples.append(
                        memory_sample(model, block, connections, size, mib * jitter, traits)
                    )
            samples += all_of_datagrams(model, block, traits)
    families = {name: family for name, (family, _) in catalogue.items()}
    traits_of = {name: traits for name, (_, traits) in catalogue.items()}
    return study_run(traits_of, families, blocks), samples


if __name__ == "__main__":
    from tests.thirty import CATALOGUE, store

    made, made_samples = all_studies(CATALOGUE)
    print(store(Path(sys.argv[1]), made, iter(made_samples)).path)
