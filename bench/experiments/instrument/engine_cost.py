"""engine-cost: what the load generator itself costs.

64 connections of 64 B, server and generator on separate CPUs. The rounds are interleaved, and the
figures are medians over them, because the speed of a shared machine drifts. Four questions:

- Does the engine cost more than the least a server can do? Its CPU per request against the null
  server's own, beside a plain-Python epoll loop that keeps no books.
- Can it outrun every model? Requests per second against the null server and against each model.
- What does the framing that all models share cost? A 64 B echo through `Session.receive`, which
  is `Connection.receive`, `Session.respond` and the join.
- How long does it take to open 10,000 connections, and does any connect have to be repeated?
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from typing import NamedTuple

from bench.experiments.figures import Found, ratio
from bench.experiments.instrument.models import shown
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_most
from bench.measure import meter
from bench.measure.launch import ROOT, Server
from bench.measure.null import null_server
from bench.measure.placement import Placement, allowed_cpus, pinned, place
from bench.measure.window import Subject, Timing, drive, look
from clients.engine.generator import Generator
from clients.load import AimedLoad
from reports.load import Load
from reports.serving import Serving
from servers import catalog

CONNECTIONS = 64
SIZE = 64
FRAMED = Load(connections=CONNECTIONS, size_bytes=SIZE)
RAW = replace(FRAMED, framing="rawecho")
SECONDS = 0.5
TIMING = Timing(warm_up_seconds=0.2, seconds=SECONDS, drain_seconds=0.2)
ENGINE, PLAIN = "engine", "plain Python"
DEPTHS = (1, 16)
MANY = 10_000


class Cost(NamedTuple):
    """One round of one pair: requests per second, CPU us per request of either side."""

    rate: float
    generator_us: float
    server_us: float


def measure(lab: Lab) -> None:
    """Measure in interleaved rounds; every ratio is taken within its round."""
    cpus = place("split", allowed_cpus())
    models = lab.pick([], shown(lab), shown(lab), shown(lab))
    costs: dict[str, list[Cost]] = {ENGINE: [], PLAIN: []}
    answers: dict[str, list[Cost]] = {model.name: [] for model in models}
    for number in range(lab.pick(1, 2, 5, 9)):
        lab.say(f"round {number + 1}")
        costs[ENGINE].append(engine_on_null(cpus))
        costs[PLAIN].append(plain_python_on_null(cpus))
        for model in models:
            answers[model.name].append(engine_on_model(model, cpus))
    for name, found in costs.items():
        ratios = [cost.generator_us / cost.server_us for cost in found]
        lab.report(name, "its CPU, of the null server's", "times", ratios)
    for name, found in {**costs, **answers}.items():
        lab.report(name, "requests", "/s", [cost.rate for cost in found])
        lab.report(name, "generator's CPU", "s", [cost.generator_us / 1e6 for cost in found])
        lab.report(name, "server's CPU", "s", [cost.server_us / 1e6 for cost in found])
    with pinned(cpus.client):
        for depth in lab.pick((), DEPTHS, DEPTHS, DEPTHS):
            framing = [framing_us(depth) / 1e6 for _ in range(lab.pick(1, 1, 3, 5))]
            lab.report(f"framing, {depth} pipelined", "server's CPU", "s", framing)
    many = lab.pick(0, 1_000, MANY, MANY)
    if many:
        openings(lab, cpus, many)


def judge(found: Found) -> Verdict:
    """The engine costs about what an echo costs, and less than plain Python does."""
    name = "its CPU, of the null server's"
    return all_of(
        [
            at_most(found.of(ENGINE, name), 2.0, "the engine uses {} of the null server's CPU"),
            at_most(
                ratio(found.of(ENGINE, name), found.of(PLAIN, name)),
                1.0,
                "the engine uses {} of what a loop in plain Python uses that checks nothing",
            ),
        ]
    )


def engine_on_null(cpus: Placement) -> Cost:
    """Drive the null server with the engine."""
    with null_server(cpus.server) as server:
        return _drive(server, server.aimed(RAW), cpus)


def engine_on_model(model: catalog.Model, cpus: Placement) -> Cost:
    """Drive a model with the engine."""
    with Server(model, Serving(workers=model.workers), cpus=cpus.server) as server:
        server.wait_until_answering()
        return _drive(server, server.aimed(FRAMED), cpus)


def _drive(server: Subject, load: AimedLoad, cpus: Placement) -> Cost:
    with Generator(cpus.client) as generator:
        tally, used, *_ = drive(generator, server, load, TIMING)
    requests = tally.requests or 1
    return Cost(
        tally.throughput,
        tally.generator_cpu_seconds / requests * 1e6,
        used.cpu_seconds / requests * 1e6,
    )


def openings(lab: Lab, cpus: Placement, many: int) -> None:
    """Report what it takes to open many connections to the null server; the remedy if it cannot."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < many + 100:
        lab.note(
            f"{many:,} connections cannot be opened: the hard limit is {limit:,} descriptors;"
            " raise it with 'ulimit -Hn 20000' as root, or nofile in /etc/security/limits.conf"
        )
        return
    opened, retries, errors = [], [], []
    for _ in range(lab.pick(1, 1, 5, 9)):
        with null_server(cpus.server) as server, Generator(cpus.client) as generator:
            load = server.aimed(replace(RAW, connections=many))
            begun = time.monotonic()
            generator.open(load)
            opened.append(time.monotonic() - begun)
            timing = Timing(warm_up_seconds=0.0, seconds=0.2)
            tally = look(generator, server, timing, load.rest_seconds).tally
            generator.close()
        retries.append(tally.connect_retries)
        errors.append(sum(tally.errors.values()))
    case = f"{many:,} connections"
    lab.report(case, "to open", "s", opened)
    lab.report(case, "SYN sent again", "count", retries)
    lab.report(case, "errors", "count", errors)


def plain_python_on_null(cpus: Placement) -> Cost:
    """Drive the null server with the loop of `plain_epoll`."""
    with null_server(cpus.server) as server:
        before = meter.settle(server.pid)
        with pinned(cpus.client):
            done = subprocess.run(
                [sys.executable, "-m", "bench.experiments.instrument.plain_epoll"]
                + [str(number) for number in (server.port, CONNECTIONS, SIZE, SECONDS)],
                stdout=subprocess.PIPE,
                check=True,
            )
        used = meter.usage(before, meter.settle(server.pid))
    result = json.loads(done.stdout)
    requests = result["requests"]
    return Cost(
        requests / SECONDS,
        result["cpu_seconds"] / requests * 1e6,
        used.cpu_seconds / requests * 1e6,
    )


def framing_us(depth: int) -> float:
    """Return the us per frame that `depth` echoes cost when they are received together."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", FRAMING, str(depth), str(SIZE)],  # -S: as servers are run
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    return float(done.stdout)


FRAMING = """
import sys
from statistics import median
from timeit import repeat

from servers.protocol import ECHO, frame
from servers.service import Service

depth, size = map(int, sys.argv[1:])
session = Service().session()
data = frame(ECHO, 7, bytes(size)) * depth
calls = 20_000 // depth
seconds = median(repeat(lambda: [*session.receive(data)], number=calls, repeat=15))
print(seconds / calls / depth * 1e6)
"""
