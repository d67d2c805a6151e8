"""One trial: a fresh server under one load, and everything that is measured of it.

The order is that of docs/method.md, "A trial"; its phases are in `bench.measure.window`.
"""

from __future__ import annotations

__all__ = ["figures_of", "interval_seconds", "measure", "untried"]

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bench.measure import meter
from bench.measure.datagrams import COUNTED
from bench.measure.files import programs_of, root_of
from bench.measure.launch import Server, ServerDied
from bench.measure.link import LinkError, linked
from bench.measure.noise import noise
from bench.measure.placement import Placement, place
from bench.measure.window import Timing, Window, drive
from bench.plan.ladder import shortfall
from bench.plan.order import PlannedTrial
from bench.plan.scenarios import Profile
from clients.engine.generator import Generator, GeneratorError
from reports.record import Sample

INTERVALS = 12  # steps of the time axis in a window


def measure(
    trial: PlannedTrial, profile: Profile, run_id: str, cpus: Sequence[int] | Placement
) -> Sample:
    """Run one trial on the allowed `cpus`. A failure is in the Sample, with what it had by then."""
    blank = untried(trial, run_id, cpus)
    placement = Placement(blank.server_cpus, blank.client_cpus)
    scenario = trial.cell.scenario
    figures: dict[str, Any] = {}
    try:
        with (
            root_of(scenario.load) as root,
            linked(scenario.serving.link) as link,
            Server(
                trial.cell.model,
                trial.cell.serving,
                cpus=placement.server,
                root=root,
                programs=programs_of(scenario.load),
                interpreter=trial.cell.interpreter,
                holds=scenario.load.idle_connections,
                link=link,
            ) as server,
            Generator(cpus=placement.client) as generator,
        ):
            try:
                _drive(server, generator, blank, profile, figures)
            except GeneratorError:
                server.check_alive()  # a dead server is the reason, and knows the details
                raise
        # With its last words.
        figures["server"] = server.identity() | {"environment": server.settings()}
    except LinkError as error:
        figures["stopped"] = str(error)
    except (ServerDied, GeneratorError) as error:
        figures["failure"] = str(error)
    return dataclasses.replace(blank, **figures)


def untried(
    trial: PlannedTrial, run_id: str, cpus: Sequence[int] | Placement, stopped: str = ""
) -> Sample:
    """Return the record of a trial before it has any figures: the cell and its load."""
    scenario = trial.cell.scenario
    placement = place(scenario.serving.placement, cpus, scenario.serving.cpus)
    spin = bool(scenario.load.rate) and placement.apart and scenario.spins
    return Sample(
        run=run_id,
        cell=trial.cell.key,
        block=trial.block,
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
        stopped=stopped,
        load=dataclasses.replace(scenario.load, spin=spin, seed=trial.block),
        serving=trial.cell.serving,
        server_cpus=placement.server,
        client_cpus=placement.client,
    )


def _drive(
    server: Server, generator: Generator, asked: Sample, profile: Profile, figures: dict[str, Any]
) -> None:
    """Take the server through the phases; put each figure into `figures` once it is known."""
    server.wait_until_answering()
    figures["ready_seconds"] = server.ready_seconds
    figures["first_answer_seconds"] = server.first_answer_seconds
    figures["served_before"] = server.served_before
    figures["server"] = server.identity()
    meter.settle(server.pid)  # the first answer's connection may still be ending
    figures["pss_idle_bytes"] = meter.footprint(server.pid).pss_bytes

    timing = Timing(
        warm_up_seconds=profile.warm_up_seconds,
        seconds=profile.window_seconds,
        interval_seconds=interval_seconds(profile.window_seconds),
        drain_seconds=profile.drain_seconds,
    )
    kernel = COUNTED[asked.load.transport](server.pid, server.port)
    window = drive(generator, server, server.aimed(asked.load), timing, weighed=True)
    figures |= figures_of(window) | {"kernel": kernel()}
    figures["stopped"] = shortfall(asked.load, window.tally)


def figures_of(window: Window) -> dict[str, Any]:
    """Return what a window says, by the fields of a Sample."""
    tally, used, loaded = window.tally, window.usage, window.footprint
    others = noise(*window.ticks, used.cpu_seconds + tally.generator_cpu_seconds)
    return {
        "tally": tally,
        "server_user_seconds": used.user_seconds,
        "server_system_seconds": used.system_seconds,
        "voluntary_switches": used.voluntary_switches,
        "involuntary_switches": used.involuntary_switches,
        "minor_faults": used.minor_faults,
        "pss_loaded_bytes": loaded.pss_bytes,
        "processes": loaded.processes,
        "threads": loaded.threads,
        "descriptors": loaded.descriptors,
        "connections_by_process": list(window.spread),
        "foreign_cpu_share": others.foreign,
        "steal_share": others.steal,
    }


def interval_seconds(window_seconds: float) -> float:
    """Return the step of the time axis, rounded up, lest a sliver of the window be left over."""
    return math.ceil(window_seconds / INTERVALS * 1e6) / 1e6
