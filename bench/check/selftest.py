"""`selftest`: the instrument measured against answers that are known beforehand.

A check says what must come out and what did. Time can only be disturbed for the worse by what else
runs on the machine, so a check that fails is tried again, and only one that fails every time has
failed. Orders between models are checked as well: they hold on any machine, or something is wrong.
"""

from __future__ import annotations

__all__ = ["CHECKS", "run_checks"]

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.measure import window
from bench.measure.machine import fingerprint
from bench.measure.noise import CpuTicks, noise
from bench.measure.null import Helper, drive, helper, null_server
from bench.measure.placement import Placement, allowed_cpus, place
from bench.measure.trial import measure
from bench.measure.window import Timing
from bench.plan.order import PlannedCell, PlannedTrial, cells
from bench.plan.scenarios import SCENARIOS, Profile, Scenario
from bench.run.conduct import describe
from clients.engine.generator import Generator
from reports.cells.gathering import workloads_of
from reports.cells.limits import Evidence, verdict
from reports.load import Load
from reports.record import Sample
from reports.tally import Tally
from servers.catalog import find

ATTEMPTS = 3
EXACT_SHARE, EXACT_NS = 0.02, 100_000.0
STALL_SECONDS, STALL_PERIOD_SECONDS = 0.1, 1.0
STALL_RATE = 5_000.0
LAG_NS = 5_000.0
MS = 1e6  # ns

PROFILE = Profile(
    name="selftest",
    shows="known answers",
    scenarios=tuple(SCENARIOS.values()),
    blocks=1,
    window_seconds=0.8,
    warm_up_seconds=0.2,
    drain_seconds=0.3,
    ceiling_seconds=0.0,
)


class Finding(NamedTuple):
    """What one attempt at a check gave."""

    measured: str
    ok: bool


class Check(NamedTuple):
    """Something that must come out."""

    name: str
    expected: str
    find: Callable[[], Finding]


class CheckOutcome(NamedTuple):
    """What came of a check in the end."""

    name: str
    expected: str
    measured: str
    ok: bool
    attempts: int


def run_checks(checks: Sequence[Check], said: Callable[[str], object]) -> list[CheckOutcome]:
    """Try each check up to ATTEMPTS times; `said` is told of each in a few lines."""
    outcomes = []
    for check in checks:
        finding = attempt(check)
        attempts = 1
        while not finding.ok and attempts < ATTEMPTS:
            finding = attempt(check)
            attempts += 1
        outcome = CheckOutcome(check.name, check.expected, finding.measured, finding.ok, attempts)
        outcomes.append(outcome)
        again = f" at attempt {attempts}" if outcome.ok and attempts > 1 else ""
        said(f"{'ok' if outcome.ok else 'FAILED':6} {outcome.name}{again}")
        said(f"       expected {outcome.expected}")
        said(f"       measured {outcome.measured}")
    return outcomes


def attempt(check: Check) -> Finding:
    """Try a check once; what it measured says so when something else used the machine."""
    ticks, cpu = CpuTicks.now(), _own_cpu_seconds()
    finding = check.find()
    disturbed = noise(ticks, CpuTicks.now(), _own_cpu_seconds() - cpu).remark()
    # numpy's comparisons are no JSON.
    return Finding(f"{finding.measured}  {disturbed}".rstrip(), bool(finding.ok))


def _own_cpu_seconds() -> float:
    """Return the CPU of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


# Times.


@contextlib.contextmanager
def known_server(cpus: Sequence[int], *words: str) -> Iterator[Helper]:
    """Run a server whose answers are known."""
    with helper("clients.targets.known", cpus, *words) as server:
        yield server


def split() -> Placement:
    """Return the CPUs of either side: each has its own, because both spin."""
    return place("split", allowed_cpus())


def exact(delay_seconds: float) -> Check:
    """Return the check of a server that takes so long for everything."""

    def find_delay() -> Finding:
        cpus = split()
        with known_server(cpus.server, "delay", str(delay_seconds)) as server:
            load = Load(connections=32, rate=600.0, spin=cpus.apart)
            tally = drive(server.aimed(load), cpus.client, 2.0)
        found = tally.answered.values_at([50, 90, 99])
        most = max(EXACT_SHARE * delay_seconds * 1e9, EXACT_NS)
        return Finding(
            ", ".join(f"{value / MS:.3f}" for value in found) + " ms at p50, p90, p99",
            tally.requests > 0 and all(abs(v - delay_seconds * 1e9) <= most for v in found),
        )

    milliseconds = delay_seconds * 1e3
    return Check(
        f"a server that takes {milliseconds:g} ms",
        f"{milliseconds:g} ms at p50, p90, p99, within 2% or 100 us",
        find_delay,
    )


def stalled(rate: float) -> Tally:
    """Drive the server that stalls, over whole periods, in an open loop or (rate 0) a closed."""
    cpus = split()
    words = ("stall", str(STALL_SECONDS), str(STALL_PERIOD_SECONDS))
    with known_server(cpus.server, *words) as server:
        load = Load(rate=rate, spin=bool(rate) and cpus.apart)
        return drive(server.aimed(load), cpus.client, 4 * STALL_PERIOD_SECONDS)


def stall_p99_ns() -> float:
    """Return what the response time's p99 must be.

    Of all requests a share s = STALL / PERIOD is due in a stall, evenly over it. One that is due u
    into the stall takes STALL - u, so a response time t is exceeded by s * (1 - t / STALL) of all;
    that is 1% at t = STALL * (1 - 0.01 / s).
    """
    share = STALL_SECONDS / STALL_PERIOD_SECONDS
    return STALL_SECONDS * 1e9 * (1 - 0.01 / share)


def find_stall_open() -> Finding:
    """Measure the stall as an open loop sees it."""
    p99 = float(stalled(STALL_RATE).answered.values_at([99])[0])
    return Finding(f"p99 {p99 / MS:.1f} ms", abs(p99 / stall_p99_ns() - 1) <= 0.05)


def find_stall_closed() -> Finding:
    """Measure the stall as a closed loop sees it: it asks nothing while it waits."""
    tally = stalled(0.0)
    p99 = float(tally.answered.values_at([99])[0])
    return Finding(f"p99 {p99 / MS:.2f} ms", 0 < p99 <= stall_p99_ns() / 10)


def find_send_lag() -> Finding:
    """Measure how late the generator sends when nothing is in its way."""
    cpus = split()
    with null_server(cpus.server) as server:
        load = Load(framing="rawecho", rate=STALL_RATE, spin=cpus.apart)
        p50, p99 = drive(server.aimed(load), cpus.client, 2.0).send_lags.values_at([50, 99])
    return Finding(f"p50 {p50 / 1e3:.1f}, p99 {p99 / 1e3:.1f} us", p99 < LAG_NS)


# Orders between models.


def trial_of(model: str, scenario: Scenario, placement: str = "", workers: int = 0) -> Sample:
    """Measure one model once."""
    cell: PlannedCell = cells([find(model)], [scenario], workers)[0]
    cpus = allowed_cpus()
    where = place(placement or scenario.serving.placement, cpus)
    return measure(PlannedTrial(cell, block=1), PROFILE, "", where)


def cpu_us(sample: Sample) -> float:
    """Return the server's CPU per request."""
    requests = sample.tally.requests
    return sample.server_cpu_seconds / requests * 1e6 if requests else math.nan


def per_second(sample: Sample) -> float:
    """Return the answers per second."""
    return sample.tally.throughput or math.nan


def find_fork_cost() -> Finding:
    """Compare what a connection costs a process and a thread."""
    process, thread = (cpu_us(trial_of(name, SCENARIOS["churn"])) for name in ("process", "thread"))
    return Finding(f"process {process:.0f} us, thread {thread:.0f} us", process > thread)


def scaling(model: str, workers: int = 0) -> float:
    """Return how much faster a model computes on two CPUs than on one."""
    two = allowed_cpus()[:2]
    loads = SCENARIOS["compute"]
    cell = cells([find(model)], [loads], workers)[0]
    one, both = (
        per_second(measure(PlannedTrial(cell, block=1), PROFILE, "", Placement(cpus, two[:1])))
        for cpus in (two[:1], two)
    )
    return both / one


def find_processes_scale() -> Finding:
    """Let processes compute on one CPU and on two."""
    ratio = scaling("process-pool", workers=8)
    return Finding(f"{ratio:.2f} times", ratio >= 1.5)


def find_threads_do_not_scale() -> Finding:
    """Let threads compute on one CPU and on two, under the GIL."""
    ratio = scaling("thread")
    return Finding(f"{ratio:.2f} times", ratio <= 1.2)


def find_serial_waits() -> Finding:
    """Let 64 connections wait at once and one after another."""
    at_once, serial = (
        per_second(trial_of(name, SCENARIOS["wait"])) for name in ("asyncio", "serial")
    )
    ratio = at_once / serial
    return Finding(f"{ratio:.1f} times", abs(ratio / 64 - 1) <= 0.15)


# What limited it.


def limit_of(model: str, scenario: str) -> Finding:
    """Return the verdict that a report would give on one trial."""
    sample = trial_of(model, SCENARIOS[scenario])
    run = describe(PROFILE, [model], seed=0)
    return Finding(str(workloads_of(run, [sample])[0].cells[0].verdict), ok=not sample.failure)


def check_limit(limit: str, name: str, model: str, scenario: str) -> Check:
    """Return the check that a server made for a verdict gets it."""

    def find_limit() -> Finding:
        finding = limit_of(model, scenario)
        return Finding(finding.measured, finding.ok and finding.measured.startswith(limit))

    return Check(name, f"limited by: {limit}", find_limit)


def find_generator_limit() -> Finding:
    """Drive a server that sends back 64 small messages for the price of one."""
    cpus = split()
    load = Load(depth=64, framing="rawecho", size_bytes=16)
    timing = Timing(warm_up_seconds=0.1, seconds=0.8, drain_seconds=0.1)
    with null_server(cpus.server) as server, Generator(cpus.client) as generator:
        tally, usage, *_ = window.drive(generator, server, server.aimed(load), timing)
    found = verdict(
        Evidence(
            server_cores=usage.cpu_seconds / tally.seconds,
            server_may_use=1.0,
            generator_cores=tally.generator_cpu_seconds / tally.seconds,
            spins=False,
            throughput=tally.throughput,
        )
    )
    return Finding(str(found), found.limit == "generator")


UNDER_THE_GIL = (
    Check(
        "threads compute one at a time",
        "at most 1.2 times as much on two CPUs as on one",
        find_threads_do_not_scale,
    ),
)

CHECKS = (
    *(exact(delay_seconds) for delay_seconds in (0.001, 0.005, 0.020)),
    Check(
        "a server that stalls 0.1 s in every second, open loop",
        f"p99 {stall_p99_ns() / MS:.1f} ms within 5%",
        find_stall_open,
    ),
    Check(
        "the same in a closed loop, which does not see it",
        f"p99 at most {stall_p99_ns() / 10 / MS:.1f} ms",
        find_stall_closed,
    ),
    Check("requests are sent when they are due", "p99 of the send lag under 5 us", find_send_lag),
    Check(
        "a connection costs a process more than a thread",
        "more CPU per connection",
        find_fork_cost,
    ),
    Check(
        "processes compute at the same time",
        "at least 1.5 times as much on two CPUs as on one",
        find_processes_scale,
    ),
    *(UNDER_THE_GIL if fingerprint()["gil"] else ()),
    Check(
        "64 connections wait at once, or one after another",
        "asyncio 64 times as many as serial, within 15%",
        find_serial_waits,
    ),
    check_limit("server", "what computes is limited by the server", "coroutine", "compute"),
    check_limit("waiting", "what waits is limited by waiting", "asyncio", "wait"),
    Check(
        "a server that outruns the generator leaves it the limit",
        "limited by: generator",
        find_generator_limit,
    ),
)
