"""Two loads on one server at once, and one load of several processes."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from bench.measure.trial import measure
from bench.plan.order import PlannedTrial, cells
from bench.plan.scenarios import find_profile
from bench.plan.studies import STUDIES
from clients.engine.driver import Engine
from clients.engine.generator import Generator
from clients.engine.reference import Reference
from clients.load import AimedLoad
from reports.tally import Tally
from servers import protocol
from servers.catalog import find
from tests import scripted

COMPUTE_ROUNDS = 7


@contextmanager
def counting_server() -> Iterator[tuple[int, Counter[int], set[str]]]:
    """Answer every request; count requests by kind, and note the addresses that they came from."""
    kinds: Counter[int] = Counter()
    sources: set[str] = set()

    def script(connection: socket.socket) -> None:
        sources.add(connection.getpeername()[0])
        for request in scripted.requests(connection):
            kinds[request[0]] += 1
            if request[0] == protocol.COMPUTE:
                assert int.from_bytes(request[2][:4], "big") == COMPUTE_ROUNDS
            connection.sendall(scripted.answer(request))

    with scripted.scripted_server(script) as port:
        yield port, kinds, sources


def driven(load: AimedLoad) -> Tally:
    with closing(Engine(load)) as engine:
        engine.open()
        engine.warm_up(0.02)
        engine.measure(0.1, 0.05)
        engine.drain(5.0)
        return Tally.from_raw(engine.tally())


def test_company_keeps_computing_beside_an_open_loop_and_is_counted_apart() -> None:
    with counting_server() as (port, kinds, sources):
        load = AimedLoad(
            port=port, connections=3, rate=200, company=2, company_rounds=COMPUTE_ROUNDS
        )
        tally = driven(load)
    assert tally.troubles == {}
    assert tally.company_requests > 0
    assert kinds[protocol.COMPUTE] >= tally.company_requests
    # What is measured is the open loop, and nothing else: 200 a second for 0.1 s.
    assert tally.answered.count == 20
    assert len(tally.requests_per_connection) == 3
    assert len(sources) == 5


def test_without_company_nobody_computes() -> None:
    with counting_server() as (port, kinds, _):
        tally = driven(AimedLoad(port=port, connections=1, rate=200))
    assert tally.company_requests == kinds[protocol.COMPUTE] == 0


def test_what_befalls_the_company_is_among_the_errors() -> None:
    def script(connection: socket.socket) -> None:
        for request in scripted.requests(connection):
            if request[0] == protocol.COMPUTE:
                return
            connection.sendall(scripted.answer(request))

    with scripted.scripted_server(script) as port:
        tally = driven(AimedLoad(port=port, connections=1, rate=200, company=1))
    assert tally.troubles.keys() == {"eof"}
    assert tally.unanswered.count == tally.company_requests == 0


def test_the_oracle_says_that_it_has_no_company() -> None:
    with pytest.raises(ValueError, match="one load at a time"):
        Reference(AimedLoad(port=1, company=1))


def test_processes_share_the_idle_connections_out_each_from_an_address_of_its_own() -> None:
    with counting_server() as (port, _, sources):
        load = AimedLoad(port=port, connections=2, idle_connections=7, engine_processes=3)
        with Generator(os.sched_getaffinity(0)) as generator:
            generator.open(load)
            generator.measure(0.05, 0.05)
            generator.drain(5.0)
            tally = generator.tally()
            generator.close()
    assert tally.troubles == {}
    assert (tally.idle_served, tally.served) == (7, 2)
    assert tally.connecting.count == len(sources) == 9
    assert tally.open_seconds > 0


def test_what_befalls_those_who_only_hold_is_counted_as_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    load = AimedLoad(port=port, connections=1, idle_connections=5, engine_processes=2)
    with Generator(os.sched_getaffinity(0)) as generator:
        generator.open(load)
        generator.measure(0.01, 0.01)
        tally = generator.tally()
    assert tally.idle_served == 0
    assert tally.errors["refused"] >= 6


def test_the_processes_of_the_null_server_share_its_connections_out() -> None:
    command = [sys.executable, "-m", "clients.targets.null", "3"]
    limited = ["/bin/sh", "-c", 'ulimit -n 70; exec "$@"', "sh", *command]
    with (
        subprocess.Popen(limited, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
        ExitStack() as stack,
    ):
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        for _ in range(90):  # more than one of them could have
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.enter_context(connection)
            connection.sendall(b"?")
            assert connection.recv(1) == b"?"
    assert server.returncode == 0


SHORT = dataclasses.replace(
    find_profile("company"), warm_up_seconds=0.03, window_seconds=0.2, drain_seconds=1.0
)


@pytest.mark.parametrize(
    ("study", "rung", "changes"),
    [
        ("company", -1, {"company": 2, "company_rounds": 100}),
        ("idle-ladder", 0, {"idle_connections": 12, "engine_processes": 2}),
    ],
)
def test_a_trial_of_a_study_gives_its_own_figures(
    study: str, rung: int, changes: dict[str, int]
) -> None:
    scenario = STUDIES[study][rung].loaded(**changes)
    (cell,) = cells([find("thread")], [scenario])
    sample = measure(PlannedTrial(cell, block=1), SHORT, "a run", sorted(os.sched_getaffinity(0)))
    assert (sample.failure, sample.stopped) == ("", "")
    assert (sample.tally.company_requests > 0) == (study == "company")
    assert sample.tally.idle_served == scenario.load.idle_connections
    assert sample.tally.open_seconds > 0
    # The company's generator is on the same CPUs as the other, which must not keep it off them.
    assert sample.load.spin is False
