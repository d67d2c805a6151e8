"""The engine and its oracle on flows of datagrams, against servers whose faults are known."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clients.engine.driver import Driver, Engine
from clients.engine.reference_flows import FlowReference
from clients.load import ERROR_KINDS, AimedLoad
from reports.histogram import summarize
from reports.tally import Tally
from servers.protocol import ERROR, Frame, KindError, frame
from tests.scripted import answer
from tests.scripted_flows import Answers, Script, scripted_flows

MakeDriver = Callable[[AimedLoad], Driver]
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
each_driver = pytest.mark.parametrize("driver", [Engine, FlowReference], ids=["engine", "oracle"])


def drive(
    driver: MakeDriver, port: int, *, seconds: float = 0.3, drain: float = 0.3, **load: Any
) -> Tally:
    """Drive flows through all phases and return the tally."""
    asked = {"connections": 4, "request_timeout_seconds": 0.1, **load}
    with closing(driver(AimedLoad(port=port, transport="udp", **asked))) as driving:
        driving.open()
        driving.measure(seconds, seconds / 4)
        driving.drain(drain)
        return Tally.from_raw(driving.tally())


def right(_: int, request: Frame, __: bytes) -> Answers:
    return [(0.0, answer(request))]


def echo_raw(_: int, __: Frame, datagram: bytes) -> Answers:
    return [(0.0, datagram)]


@each_driver
@pytest.mark.parametrize(
    ("script", "load"),
    [
        (right, {}),
        (right, {"size_bytes": 0, "depth": 5}),
        (right, {"size_bytes": 3, "depth": 60, "connections": 2}),
        (right, {"kind": "UPPER", "size_bytes": 100, "depth": 4}),
        (right, {"kind": "WAIT", "argument": 0, "size_bytes": 0}),
        (right, {"size_bytes": 65_499, "connections": 1}),
        (right, {"rate": 500.0, "depth": 8}),
        (echo_raw, {"framing": "rawecho", "size_bytes": 12, "depth": 4}),
        (echo_raw, {"framing": "rawecho", "size_bytes": 65_507, "connections": 1}),
    ],
    ids=lambda each: each.__name__ if callable(each) else str(each),
)
def test_a_right_server_gives_no_errors_and_serves_every_flow(
    driver: MakeDriver, script: Script, load: dict[str, Any]
) -> None:
    with scripted_flows(script) as port:
        tally = drive(driver, port, request_timeout_seconds=10.0, drain=10.0, **load)
    assert tally.errors == dict.fromkeys(ERROR_KINDS, 0)
    assert tally.served == len(tally.requests_per_connection)
    assert tally.unanswered.count == 0
    assert sum(tally.requests_per_connection) == tally.requests > 0


@each_driver
def test_what_is_not_answered_in_time_is_lost_and_aged_as_unanswered(driver: MakeDriver) -> None:
    def loses(number: int, request: Frame, datagram: bytes) -> Answers:
        losses.append(number % 3 == 2)
        return [] if losses[-1] else right(number, request, datagram)

    losses: list[bool] = []
    with scripted_flows(loses) as port:
        tally = drive(driver, port, depth=32)
    assert tally.troubles == {"lost": sum(losses)}
    assert tally.unanswered.count == sum(losses)
    figures = summarize(tally.answered, tally.unanswered)
    assert figures["p90_at_least"]
    assert float(figures["p90"] or 0) >= 0.1e9
    # The flow goes on.
    assert tally.served == 4


@each_driver
def test_an_answer_after_its_time_is_late_and_its_request_stays_lost(driver: MakeDriver) -> None:
    def is_late(number: int, request: Frame, _: bytes) -> Answers:
        return [(0.2 if number % 5 == 4 else 0.0, answer(request))]

    with scripted_flows(is_late) as port:
        tally = drive(driver, port, connections=2)
    assert tally.troubles.keys() == {"lost", "late"}
    assert tally.errors["late"] == tally.errors["lost"] > 0  # the drain waits for them
    assert tally.unanswered.count == tally.errors["lost"]


@each_driver
@pytest.mark.parametrize("depth", [1, 7])
def test_an_answer_that_comes_twice_is_one_answer_and_one_duplicate(
    driver: MakeDriver, depth: int
) -> None:
    seen: list[int] = []

    def twice(number: int, request: Frame, _: bytes) -> Answers:
        seen.append(number)
        return [(0.0, answer(request))] * 2

    with scripted_flows(twice) as port:
        tally = drive(driver, port, depth=depth)
    assert tally.troubles.keys() == {"duplicated"}
    assert len(seen) - 4 * depth <= tally.errors["duplicated"] <= len(seen)
    assert tally.answered.count == len(seen)


@each_driver
def test_answers_in_another_order_are_right_ones(driver: MakeDriver) -> None:
    def reordered(number: int, request: Frame, _: bytes) -> Answers:
        return [(0.003 * (3 - number % 4), answer(request))]

    with scripted_flows(reordered) as port:
        tally = drive(driver, port, connections=1, depth=8)
    assert tally.troubles == {}
    assert tally.requests > 8


WRONG: dict[str, tuple[set[str], Callable[[Frame], bytes]]] = {
    "a wrong byte": ({"mismatch"}, lambda request: answer(request)[:-1] + b"\0"),
    "a byte too few": ({"mismatch"}, lambda request: answer(request)[:-1]),
    "a byte too many": ({"mismatch"}, lambda request: answer(request) + b"\0"),
    "another kind": ({"mismatch"}, lambda request: frame(130, *request[1:])),
    "an error": (
        {"error_frame"},
        lambda request: frame(ERROR, request[1], KindError("no").body()),
    ),
    "an error without a sentence": (
        {"error_frame"},
        lambda request: frame(ERROR, request[1], b"\0\3"),
    ),
    "a tag that was never sent": (
        {"mismatch", "lost"},
        lambda request: frame(129, 40_000, request[2]),
    ),
    "nothing at all": ({"mismatch", "lost"}, lambda _: b""),
}


@each_driver
@pytest.mark.parametrize("fault", WRONG)
def test_each_fault_counts_under_its_own_name_and_the_flow_goes_on(
    driver: MakeDriver, fault: str
) -> None:
    kinds, make = WRONG[fault]
    wrong: list[int] = []

    def script(number: int, request: Frame, datagram: bytes) -> Answers:
        if number % 10 != 9:
            return right(number, request, datagram)
        wrong.append(number)
        return [(0.0, make(request))]

    with scripted_flows(script) as port:
        tally = drive(driver, port)
    assert tally.troubles == dict.fromkeys(kinds, len(wrong))
    assert tally.unanswered.count == len(wrong)
    assert tally.served == 4


@each_driver
def test_what_another_sends_to_a_flow_is_not_heard(driver: MakeDriver) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
        another.bind(("127.0.0.1", 0))

        def script(number: int, request: Frame, datagram: bytes) -> Answers:
            # The peer's port is not known here, so that of every flow is tried.
            for port in ports_of_flows(server):
                another.sendto(b"from somebody else", ("127.0.0.1", port))
            return right(number, request, datagram)

        with scripted_flows(script) as server:
            tally = drive(driver, server, connections=2, request_timeout_seconds=5.0)
    assert tally.troubles == {}
    assert tally.requests > 0


def ports_of_flows(server: int) -> list[int]:
    """Return the ports of those that are connected to a server of datagrams."""
    table = Path("/proc/net/udp").read_text(encoding="ascii")
    addresses = [line.split()[1:3] for line in table.splitlines()[1:]]
    ports = [[int(each.rpartition(":")[2], 16) for each in both] for both in addresses]
    return [local for local, remote in ports if remote == server]


@each_driver
def test_where_nobody_listens_requests_are_refused(driver: MakeDriver) -> None:
    # Below the ports that the kernel gives away, or another test's server may be given this one.
    port = int(PORT_RANGE.read_text(encoding="ascii").split()[0]) - 1
    tally = drive(driver, port, connections=2)
    assert tally.troubles.keys() == {"refused"}
    assert tally.unanswered.count == tally.errors["refused"] > 1
    assert tally.requests == 0


@each_driver
def test_an_open_loop_keeps_its_rate_though_some_are_lost(driver: MakeDriver) -> None:
    def loses(number: int, request: Frame, datagram: bytes) -> Answers:
        return [] if number % 4 == 3 else right(number, request, datagram)

    with scripted_flows(loses) as port:
        tally = drive(driver, port, rate=400.0, depth=64, seconds=0.5)
    asked = 200
    assert tally.answered.count + tally.unanswered.count == asked
    assert tally.troubles == {"lost": asked // 4}


@pytest.mark.parametrize(
    "fields",
    [
        {"size_bytes": 65_500},
        {"kind": "WAIT", "size_bytes": 65_496},
        {"framing": "rawecho", "size_bytes": 65_508},
        {"framing": "rawecho", "size_bytes": 1},
        {"kind": "GET"},
        {"kind": "EXEC", "size_bytes": 0},
        {"session": 1},
        {"idle_connections": 1},
    ],
    ids=str,
)
def test_what_cannot_be_a_datagram_is_a_mistake_of_the_user(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"datagram|udp"):
        AimedLoad(port=1, transport="udp", **fields)
    assert AimedLoad(port=1, **fields)  # it is one only over UDP
