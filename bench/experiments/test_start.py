"""What a server takes from the start of its process to its first answer.

A command that is run once, a function that is started for one event: there the start is all of the
latency. Every round starts a fresh process; its end is not timed.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.launch import Server
from bench.measure.placement import allowed_cpus
from servers.catalog import MODELS, Model

ROUNDS = 5


@pytest.mark.benchmark(group="start of the process to the first answer")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.name))
def test_first_answer(model: Model, benchmark: BenchmarkFixture) -> None:
    with ExitStack() as running:

        def fresh() -> tuple[tuple[Server], dict[str, object]]:
            running.close()  # the round before
            return (Server(model, workers=model.workers, cpus=allowed_cpus()),), {}

        def start(server: Server) -> None:
            running.enter_context(server)
            server.wait_until_answering()

        benchmark.pedantic(start, setup=fresh, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]  # the plug-in's types stop short of it
