"""What one round trip costs each model: on an open connection, and with a connection of its own.

A single client that waits for each answer: no concurrency at all, so this is the least that a
request can take, and the floor below every latency in the report. Client and server share the
machine as they please.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.launch import Server
from bench.measure.placement import allowed_cpus
from clients.probe import Probe
from servers.catalog import MODELS, Model

PAYLOAD = b"x" * 64
ROUNDS = 50
TRIPS = 20  # of a round: one alone is not much longer than the clock's reading


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: str(model.name))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Run each model in turn, one server for both experiments."""
    model: Model = request.param
    with Server(model, workers=model.workers, cpus=allowed_cpus()) as running:
        running.wait_until_answering()
        yield running


@pytest.mark.benchmark(group="one round trip")
def test_round_trip(server: Server, benchmark: BenchmarkFixture) -> None:
    with Probe(server.host, server.port) as probe:
        pedantic(benchmark, lambda: probe.echo(PAYLOAD), iterations=TRIPS)


@pytest.mark.benchmark(group="connect, one round trip, close")
def test_connection(server: Server, benchmark: BenchmarkFixture) -> None:
    def converse() -> None:
        with Probe(server.host, server.port) as probe:
            probe.echo(PAYLOAD)

    pedantic(benchmark, converse, iterations=1)


def pedantic(benchmark: BenchmarkFixture, action: Callable[[], None], iterations: int) -> None:
    """Time rounds of `iterations` actions, after two rounds that are thrown away."""
    benchmark.pedantic(action, rounds=ROUNDS, iterations=iterations, warmup_rounds=2)  # type: ignore[no-untyped-call]  # the plug-in's types stop short of it
