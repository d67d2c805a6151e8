"""Two loads on one server at once, and one load of several processes."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from clients.engine.driver import Engine
from clients.engine.generator import Generator
from clients.engine.reference import Reference
from clients.load import AimedLoad
from reports.tally import Tally
from servers import protocol
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
