"""One trial: a fresh server under one load, and everything that is measured of it.

The order is that of docs/method.md, "A trial". The generator holds still between its phases, so the
server comes to rest, and its CPU is read at rest, on either side of the window: requests in flight
when the window opens then cancel those in flight when it closes. This process sleeps in between.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bench.measure import meter
from bench.measure.files import root_of
from bench.measure.launch import Server, ServerDied
from bench.measure.noise import CpuTicks, noise
from bench.measure.placement import Placement, place
from bench.plan.ladder import shortfall
from bench.plan.order import Cell, Trial
from bench.plan.scenarios import Profile
from clients.engine.generator import Generator, GeneratorError
from clients.load import Load
from clients.tally import Tally
from reports.record import Sample

INTERVALS = 12  # steps of the time axis in a window


def measure(trial: Trial, profile: Profile, run_id: str, cpus: Sequence[int] | Placement) -> Sample:
    """Run one trial on the allowed `cpus`. A failure is in the Sample, with what it had by then."""
    blank = untried(trial, run_id, cpus)
    placement = Placement(blank.server_cpus, blank.client_cpus)
    scenario = trial.cell.scenario
    figures: dict[str, Any] = {}
    try:
        with (
            root_of(scenario) as root,
            Server(
                trial.cell.model,
                workers=trial.cell.workers,
                cpus=placement.server,
                backlog=scenario.backlog,
                root=root,
            ) as server,
            Generator(cpus=placement.client) as generator,
        ):
            try:
                _drive(server, generator, trial, profile, figures, spin=bool(blank.spin))
            except GeneratorError:
                server.check_alive()  # a dead server is the reason, and knows the details
                raise
    except (ServerDied, GeneratorError) as error:
        figures["failure"] = str(error)
    return dataclasses.replace(blank, **figures)


def untried(
    trial: Trial, run_id: str, cpus: Sequence[int] | Placement, stopped: str = ""
) -> Sample:
    """Return the record of a trial before it has any figures: the cell and its load."""
    scenario = trial.cell.scenario
    placement = place(scenario.placement, cpus)
    return Sample(
        run=run_id,
        model=trial.cell.model.name,
        scenario=scenario.name,
        level=scenario.level,
        block=trial.block,
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
        stopped=stopped,
        connections=scenario.connections,
        depth=scenario.depth,
        session=scenario.session,
        kind=scenario.kind,
        size_bytes=scenario.size_bytes,
        argument=scenario.argument,
        workers=trial.cell.workers,
        placement=scenario.placement,
        server_cpus=placement.server,
        client_cpus=placement.client,
        rate=scenario.rate,
        arrivals=scenario.arrivals if scenario.rate else "",
        spin=int(bool(scenario.rate) and placement.apart),
        idle_connections=scenario.idle,
        backlog=scenario.backlog,
        file_bytes=scenario.file_bytes,
    )


def _drive(
    server: Server,
    generator: Generator,
    trial: Trial,
    profile: Profile,
    figures: dict[str, Any],
    *,
    spin: bool,
) -> None:
    """Take the server through the phases; put each figure into `figures` once it is known."""
    cell = trial.cell
    server.wait_until_answering()
    figures["ready_seconds"] = server.ready_seconds
    figures["first_answer_seconds"] = server.first_answer_seconds
    rest_seconds = still_seconds(cell)
    meter.settle(server.pid)  # the first answer's connection may still be ending
    figures["pss_idle_bytes"] = meter.footprint(server.pid).pss_bytes

    generator.open(dataclasses.replace(load_of(server, cell), spin=spin, seed=trial.block))
    generator.warm_up(profile.warm_up_seconds)
    before, ticks_before = meter.settle(server.pid, rest_seconds), CpuTicks.now()
    generator.measure(profile.window_seconds, _interval_seconds(profile.window_seconds))
    generator.drain(profile.drain_seconds)
    ticks_after, after = CpuTicks.now(), meter.settle(server.pid, rest_seconds)
    server.check_alive()  # of a dead server the readings are worth nothing
    loaded = meter.footprint(server.pid)
    tally = generator.tally()
    generator.close()

    used = meter.usage(before, after)
    others = noise(ticks_before, ticks_after, used.cpu_seconds + tally.generator_cpu_seconds)
    figures |= _tally_figures(tally) | {
        "server_user_seconds": used.user_seconds,
        "server_system_seconds": used.system_seconds,
        "voluntary_switches": used.voluntary_switches,
        "involuntary_switches": used.involuntary_switches,
        "minor_faults": used.minor_faults,
        "stopped": shortfall(cell, tally.idle_served, tally.served, tally.errors["timeout"]),
        "pss_loaded_bytes": loaded.pss_bytes,
        "processes": loaded.processes,
        "threads": loaded.threads,
        "descriptors": loaded.descriptors,
        "foreign_cpu_share": others.foreign,
        "steal_share": others.steal,
    }


def _interval_seconds(window_seconds: float) -> float:
    """Return the step of the time axis, rounded up, lest a sliver of the window be left over."""
    return math.ceil(window_seconds / INTERVALS * 1e6) / 1e6


def still_seconds(cell: Cell) -> float:
    """Return how long a server must be seen not to move: a waiting one may be about to answer."""
    waiting = cell.scenario.argument / 1e6 if cell.scenario.kind == "WAIT" else 0.0
    return 0.001 + waiting


def load_of(server: Server, cell: Cell) -> Load:
    """Return the cell's load on a server."""
    scenario = cell.scenario
    return Load(
        host=server.host,
        port=server.port,
        connections=scenario.connections,
        depth=scenario.depth,
        session=scenario.session,
        kind=scenario.kind,
        size=scenario.size_bytes,
        argument=scenario.argument,
        rate=scenario.rate,
        arrivals=scenario.arrivals,
        idle=scenario.idle,
        connect_at_once=scenario.connect_at_once,
        connect_timeout_seconds=scenario.connect_timeout_seconds,
        request_timeout_seconds=scenario.request_timeout_seconds,
    )


def _tally_figures(tally: Tally) -> dict[str, Any]:
    """Return the tally under the names of a Sample, its histograms encoded."""
    return {
        "seconds": tally.seconds,
        "requests": tally.requests,
        "errors": dict(tally.errors),
        "answered": tally.answered.encode(),
        "unanswered": tally.unanswered.encode(),
        "connecting": tally.connecting.encode(),
        "requests_per_connection": list(tally.requests_per_connection),
        "interval_seconds": tally.interval_seconds,
        "interval_requests": list(tally.interval_requests),
        "interval_latencies": [histogram.encode() for histogram in tally.interval_latencies],
        "services": tally.services.encode() if tally.rate else "",
        "send_lags": tally.send_lags.encode() if tally.rate else "",
        "connect_retries": tally.connect_retries,
        "idle_served": tally.idle_served,
        "generator_cpu_seconds": tally.generator_cpu_seconds,
    }
