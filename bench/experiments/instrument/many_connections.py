"""How long it takes to open 100,000 connections, and how many can be had at all.

    python -m bench.experiments.instrument.many_connections [CONNECTIONS]

The null server on one half of the CPUs, the engine on the other, each of several processes: a
process has a limit on descriptors, and an address one on ports. Every connection makes a request
and has it answered before it counts; it is then kept. What limits the machine is read first.
"""

from __future__ import annotations

import math
import sys

from bench.measure.limits import limits
from bench.measure.null import null_server
from bench.measure.placement import allowed_cpus, place
from bench.measure.window import Timing, answers
from clients.engine.generator import Generator
from reports.load import Load

CONNECTIONS = 100_000
BUSY = 16
HEADROOM = 1_000
"""Descriptors that a process needs for other things, and for shares that are not equal."""


def main(wanted: int) -> None:
    """Open so many connections, or as many as the machine allows, and say how long that took."""
    machine = limits(wanted)
    each = machine.descriptors - HEADROOM
    if each < HEADROOM:
        sys.exit(f"a process may have {machine.descriptors:,} descriptors, which are too few")
    processes = min(64, math.ceil(wanted / each))
    idle = min(wanted, processes * each) - BUSY
    print(
        f"a process may have {machine.descriptors:,} descriptors, so {processes} of the null server"
        f" and {processes} of the engine; source addresses: {idle + BUSY:,}"
    )
    cpus = place("split", allowed_cpus())
    load = Load(
        connections=BUSY,
        framing="rawecho",
        idle_connections=idle,
        connect_at_once=256,
        engine_processes=processes,
    )
    timing = Timing(warm_up_seconds=0.1, seconds=0.5)
    with null_server(cpus.server, processes) as server, Generator(cpus.client) as generator:
        tally = answers(generator, server.aimed(load), timing)
    open_ = tally.idle_served + tally.served
    print(
        f"{open_:,} connections open and answered after {tally.open_seconds:.2f} s,"
        f" {tally.open_seconds / open_ * 1e6:.1f} us each; errors: {tally.troubles or 'none'}"
    )
    print(
        f"then {tally.throughput:,.0f} requests/s over {BUSY} of them,"
        f" p99 {tally.answered.values_at([99])[0] / 1000:,.0f} us"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else CONNECTIONS)
