"""What the load generator itself costs: `make bench-engine`.

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
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.measure import meter
from bench.measure.launch import ROOT, Server
from bench.measure.null import null_server
from bench.measure.placement import Placement, allowed_cpus, pinned, place
from bench.measure.window import Subject, Timing, drive, look
from clients.engine.generator import Generator
from clients.load import AimedLoad
from reports.load import Load
from servers import catalog

CONNECTIONS = 64
SIZE = 64
FRAMED = Load(connections=CONNECTIONS, size_bytes=SIZE)
RAW = replace(FRAMED, framing="rawecho")
SECONDS = 0.5
TIMING = Timing(warm_up_seconds=0.2, seconds=SECONDS, drain_seconds=0.2)
ROUNDS = 5
DEPTHS = (1, 16)
MANY = 10_000


class Cost(NamedTuple):
    """One round of one pair: requests per second, CPU us per request of either side."""

    rate: float
    generator_us: float
    server_us: float


def main() -> None:
    """Measure and print the three tables."""
    console = Console()
    cpus = place("split", allowed_cpus())
    pairs: dict[str, list[Cost]] = {"engine": [], "plain Python": []}
    models: dict[str, list[Cost]] = {model.name: [] for model in catalog.MODELS}
    for number in range(ROUNDS):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {ROUNDS}", end="", file=sys.stderr, flush=True)
        pairs["engine"].append(engine_on_null(cpus))
        pairs["plain Python"].append(plain_python_on_null(cpus))
        for model in catalog.MODELS:
            models[model.name].append(engine_on_model(model, cpus))
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    console.print(_generators(pairs))
    console.print(_ceiling(pairs["engine"], models))
    console.print(_framing(cpus))
    for line in openings(cpus):
        console.print(line, highlight=False, soft_wrap=True)


def engine_on_null(cpus: Placement) -> Cost:
    """Drive the null server with the engine."""
    with null_server(cpus.server) as server:
        return _drive(server, server.aimed(RAW), cpus)


def engine_on_model(model: catalog.Model, cpus: Placement) -> Cost:
    """Drive a model with the engine."""
    with Server(model, workers=model.workers, cpus=cpus.server) as server:
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


def openings(cpus: Placement) -> list[str]:
    """Return what it takes to open MANY connections to the null server; the remedy if it cannot."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < MANY + 100:
        return [
            f"{MANY:,} connections cannot be opened: the hard limit is {limit:,} descriptors;"
            " raise it with 'ulimit -Hn 20000' as root, or nofile in /etc/security/limits.conf"
        ]
    found = []
    for _ in range(ROUNDS):
        with null_server(cpus.server) as server, Generator(cpus.client) as generator:
            load = server.aimed(replace(RAW, connections=MANY))
            begun = time.monotonic()
            generator.open(load)
            opened = time.monotonic() - begun
            timing = Timing(warm_up_seconds=0.0, seconds=0.2)
            tally = look(generator, server, timing, load.rest_seconds).tally
            generator.close()
        found.append((opened, tally.connect_retries, sum(tally.errors.values())))
    seconds, retries, errors = (median(column) for column in zip(*found, strict=True))
    return [
        f"{MANY:,} connections opened in {seconds:.2f} s,"
        f" {retries:,.0f} SYN retries, {errors:,.0f} errors (medians of {ROUNDS} rounds)"
    ]


def plain_python_on_null(cpus: Placement) -> Cost:
    """Drive the null server with the loop of `plain_epoll`."""
    with null_server(cpus.server) as server:
        before = meter.settle(server.pid)
        with pinned(cpus.client):
            done = subprocess.run(
                [sys.executable, "-m", "bench.experiments.plain_epoll"]
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


def _generators(pairs: dict[str, list[Cost]]) -> Table:
    table = Table(title=f"Against the null server, {CONNECTIONS} connections, {SIZE} B")
    table.add_column("generator")
    for heading in ("requests/s", "its CPU us", "server CPU us", "ratio"):
        table.add_column(heading, justify="right")
    for name, costs in pairs.items():
        # The ratio is taken within each round, where both sides saw the same machine.
        ratio = median(cost.generator_us / cost.server_us for cost in costs)
        table.add_row(
            name,
            f"{median(cost.rate for cost in costs):,.0f}",
            f"{median(cost.generator_us for cost in costs):.2f}",
            f"{median(cost.server_us for cost in costs):.2f}",
            f"{ratio:.2f}",
        )
    return table


def _ceiling(null: list[Cost], models: dict[str, list[Cost]]) -> Table:
    table = Table(title="Requests per second with the engine")
    table.add_column("server")
    for heading in ("requests/s", "of the null server's", "server CPU us", "generator CPU us"):
        table.add_column(heading, justify="right")
    for name, costs in {"null": null, **models}.items():
        share = median(cost.rate / base.rate for cost, base in zip(costs, null, strict=True))
        table.add_row(
            name,
            f"{median(cost.rate for cost in costs):,.0f}",
            f"{share:.0%}",
            f"{median(cost.server_us for cost in costs):.2f}",
            f"{median(cost.generator_us for cost in costs):.2f}",
        )
    return table


def _framing(cpus: Placement) -> Table:
    table = Table(title="A 64 B echo through the framing and the service")
    table.add_column("pipelined", justify="right")
    table.add_column("us per frame", justify="right")
    with pinned(cpus.client):
        for depth in DEPTHS:
            table.add_row(str(depth), f"{framing_us(depth):.3f}")
    return table


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


if __name__ == "__main__":
    main()
