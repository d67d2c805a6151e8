"""many-connections: how long it takes to open 100,000 connections, and how many can be had at all.

The null server on one half of the CPUs, the engine on the other, each of several processes: a
process has a limit on descriptors, and an address one on ports. Every connection makes a request
and has it answered before it counts; it is then kept. What limits the machine is read first.
"""

from __future__ import annotations

import math

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly
from bench.measure.limits import limits
from bench.measure.null import null_server
from bench.measure.placement import allowed_cpus, place
from bench.measure.window import Timing, answers
from clients.engine.generator import Generator
from reports.load import Load

BUSY = 16
HEADROOM = 1_000
"""Descriptors that a process needs for other things, and for shares that are not equal."""
OPEN, ERRORS = "open and answered, of those wanted", "errors"


def measure(lab: Lab) -> None:
    """Open so many connections, or as many as the machine allows."""
    wanted = lab.pick(200, 10_000, 50_000, 100_000)
    machine = limits(wanted)
    each = machine.descriptors - HEADROOM
    if each < HEADROOM:
        lab.note(f"a process may have {machine.descriptors:,} descriptors, which are too few")
        return
    processes = min(64, math.ceil(wanted / each))
    lab.note(
        f"a process may have {machine.descriptors:,} descriptors, so the null server and the engine"
        f" have {processes} each"
    )
    cpus = place("split", allowed_cpus())
    load = Load(
        connections=BUSY,
        framing="rawecho",
        idle_connections=min(wanted, processes * each) - BUSY,
        connect_at_once=256,
        engine_processes=processes,
    )
    timing = Timing(warm_up_seconds=0.1, seconds=0.5)
    found = []
    for _ in range(lab.pick(1, 1, 3, 3)):
        with null_server(cpus.server, processes) as server, Generator(cpus.client) as generator:
            found.append(answers(generator, server.aimed(load), timing))
    held = [tally.idle_served + tally.served for tally in found]
    case = f"{wanted:,} connections"
    lab.report(case, OPEN, "share", [number / wanted for number in held])
    lab.report(case, ERRORS, "count", [sum(tally.errors.values()) for tally in found])
    lab.report(case, "to open them", "s", [tally.open_seconds for tally in found])
    lab.report(case, "requests of 16 of them", "/s", [tally.throughput for tally in found])


def judge(found: Found) -> Verdict:
    """All that were wanted are open and answered, without an error."""
    (row,) = found.cases(OPEN)
    return all_of(
        [
            at_least(row, 1.0, f"of {row.case} {{}} are open and answered"),
            exactly(found.of(row.case, ERRORS), 0, "there are {} errors"),
        ]
    )
