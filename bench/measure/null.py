"""The null server, seen from a run: the least that a server can do, as a yardstick.

`ceiling` is what the generator reaches against it under a scenario's load. A model that comes
near that may have been held up by the generator and not by itself. `wake_up_ns` is what one
round trip of one connection takes: on one CPU, and across two, where each side has to wake the
other up. It tells how much of a one-connection latency is the machine's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench.measure.placement import Placement, pinned, place
from bench.plan.scenarios import Scenario
from clients.engine.exchange import Exchange
from clients.engine.generator import Generator
from clients.load import Load
from clients.tally import Tally

WARM_UP_SECONDS = 0.1
ROUND_TRIP_SECONDS = 0.2


@contextlib.contextmanager
def helper(module: str, cpus: Sequence[int], *words: str) -> Iterator[tuple[int, int]]:
    """Run a server of ours that is no model on `cpus`; gives its process id and port."""
    with contextlib.ExitStack() as stack:
        with pinned(cpus):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", module, *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # a Ctrl-C at the terminal is the conductor's
                )
            )
        # Leaving closes its standard input, which ends it.
        assert process.stdout is not None  # noqa: S101  # it was opened as a pipe
        yield process.pid, json.loads(process.stdout.readline())["port"]


@contextlib.contextmanager
def null_server(cpus: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Run the null server on `cpus`; gives its process id and port."""
    with helper("clients.targets.null", cpus) as server:
        yield server


def drive(load: Load, cpus: Sequence[int], seconds: float) -> Tally:
    """Return what the engine on `cpus` gets from a server that is there already."""
    with Generator(cpus) as generator:
        generator.open(load)
        generator.warm_up(WARM_UP_SECONDS)
        generator.measure(seconds, seconds)
        generator.drain(WARM_UP_SECONDS)
        tally = generator.tally()
        generator.close()
        return tally


def ceiling(scenario: Scenario, placement: Placement, seconds: float) -> float:
    """Return the null server's requests per second under the load of `scenario`."""
    with null_server(placement.server) as (_, port):
        load = Load(
            port=port,
            connections=scenario.connections,
            depth=scenario.depth,
            session=scenario.session,
            size=scenario.size_bytes,
        )
        whole = Exchange.of(load).request.length  # the frame's header with it
        load = dataclasses.replace(load, framing="rawecho", size=whole)
        return drive(load, placement.client, seconds).throughput


def wake_up_ns(cpus: Sequence[int] | Placement) -> dict[str, float]:
    """Return the p50 of one connection's round trip by placement; one CPU has but one."""
    if isinstance(cpus, Placement):
        placements = {cpus.name: cpus}
    else:
        names = ("same", "split") if len(cpus) > 1 else ("same",)
        placements = {name: place(name, cpus) for name in names}
    return {name: _round_trip_ns(placement) for name, placement in placements.items()}


def _round_trip_ns(placement: Placement) -> float:
    with null_server(placement.server) as (_, port):
        load = Load(port=port, connections=1, framing="rawecho", size=64)
        tally = drive(load, placement.client, ROUND_TRIP_SECONDS)
        return float(tally.answered.values_at([50])[0])
