"""What datagrams mean, and what every model that serves them must do, over real sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.datagrams import queue_of
from servers.catalog import find, over
from servers.datagrams import (
    BUSY,
    MALFORMED,
    MOST_DATAGRAM_BYTES,
    REASONS,
    UNANSWERABLE,
    Conversation,
)
from servers.drivers.datagrams import MOST_WAITING, Deferring
from servers.protocol import (
    COMPUTE,
    ECHO,
    ERROR,
    HEADER_SIZE,
    UPPER,
    WAIT,
    LimitError,
    OversizeError,
    frame,
)
from servers.service import Service
from servers.steps import Wait
from tests.abuse import rested
from tests.conftest import DEADLINE_SECONDS, ServerProcess, eventually, workers_of
from tests.flow import Flow
from tests.golden import DATAGRAMS, Exchange

NAMES = [model.name for model in over("udp")]
LARGEST = frame(ECHO, 7, bytes(range(256)) * 255 + bytes(219))
GARBAGE = (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", frame(ECHO, 1, b"cut off")[:-1], b"\xff" * 1400)
STORM = 100_000
WARM_UP = STORM // 10
"""After so much of it a heap has what it needs for its like."""


# What a datagram means: no socket.


class Heard:
    """A conversation, and why datagrams were dropped."""

    def __init__(self, limit: int = 2**24) -> None:
        self.dropped: list[str] = []
        self.conversation: Conversation = Service(limit).datagrams(self.dropped.append)

    def answer(self, datagram: bytes) -> bytes | None:
        """Return the one answer to a datagram, its waits passed over."""
        reply = self.conversation.receive(datagram)
        if reply is None or isinstance(reply, bytes):
            return reply
        [answer] = [step for step in reply if isinstance(step, bytes)]
        return answer


@pytest.mark.parametrize("exchange", DATAGRAMS, ids=lambda exchange: exchange.name)
def test_the_golden_datagrams_are_answered_to_the_byte(exchange: Exchange) -> None:
    heard = Heard()
    answer = heard.answer(bytes.fromhex(exchange.request))
    if exchange.extent == "dropped":
        assert answer is None
        assert len(heard.dropped) == 1
    else:
        assert answer is not None
        assert exchange.is_answered_by(answer)
        assert heard.dropped == []


FRAMES = st.builds(frame, st.integers(0, 255), st.integers(0, 65_535), st.binary(max_size=64))


@given(st.one_of(st.binary(max_size=64), FRAMES, FRAMES.map(lambda whole: whole + b"x")))
def test_an_answer_is_never_longer_than_its_request_and_what_has_none_is_counted(
    datagram: bytes,
) -> None:
    heard = Heard(limit=32)
    if datagram[4:5] in (b"\3", b"\4"):  # rounds and seconds would be drawn at random
        datagram = datagram[:8] + bytes(4) + datagram[12:]
    answer = heard.answer(datagram)
    if answer is None:
        assert heard.dropped in ([MALFORMED], [UNANSWERABLE])
    else:
        assert HEADER_SIZE <= len(answer) <= len(datagram)
        assert heard.dropped == []


def test_a_server_is_never_told_of_its_own_errors() -> None:
    heard = Heard()
    error = heard.answer(frame(99, 1, bytes(100)))
    assert error is not None
    assert heard.answer(error) is None


@pytest.mark.parametrize("kind", [COMPUTE, WAIT])
def test_what_may_not_be_asked_for_is_an_error_with_its_sentence_where_that_fits(kind: int) -> None:
    request = frame(kind, 3, b"\xff" * 4 + bytes(100))
    answer = Heard().answer(request)
    assert answer is not None
    assert answer[4:10] == bytes([ERROR, 0, 0, 3, 0, LimitError.code])
    assert answer.endswith(b".")


def test_a_body_over_the_limit_is_oversize() -> None:
    heard = Heard(limit=10)
    assert heard.answer(frame(ECHO, 3, bytes(10))) == frame(ECHO + 128, 3, bytes(10))
    answer = heard.answer(frame(ECHO, 3, bytes(11)))
    assert answer is not None
    assert answer[4:10] == bytes([ERROR, 0, 0, 3, 0, OversizeError.code])


def test_a_loop_has_so_many_timers_and_no_more() -> None:
    sent: list[Any] = []
    timers: list[Callable[[], None]] = []
    heard = Heard()

    def call_later(seconds: float, action: Callable[..., None], *arguments: object) -> None:
        assert seconds == Wait(1).seconds
        timers.append(partial(action, *arguments))

    requests = Deferring(
        heard.conversation, lambda *answer: sent.append(answer), call_later, heard.dropped.append
    )
    for tag in range(MOST_WAITING + 5):
        requests.received(frame(WAIT, tag, (1_000_000).to_bytes(4, "big")), "peer")
    assert (len(timers), requests.waiting) == (MOST_WAITING, MOST_WAITING)
    assert heard.dropped == [BUSY] * 5
    requests.received(frame(ECHO, 1), "peer")
    assert sent == [(frame(ECHO + 128, 1), "peer")]
    for timer in timers:
        timer()
    assert requests.waiting == 0
    assert len(sent) == MOST_WAITING + 1


# Over real sockets: every model.


@pytest.fixture(scope="module", params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One server of each model."""
    server = ServerProcess(request.param, *workers_of(request.param, 8))
    yield server
    server.close()


@pytest.fixture
def flow(server: ServerProcess) -> Iterator[Flow]:
    with Flow(server.port) as flow:
        yield flow
    with Flow(server.port) as another:
        assert another.ask(ECHO, 1, b"still there?") == (ECHO + 128, 1, b"still there?")


def test_the_ready_line_says_the_transport(server: ServerProcess) -> None:
    assert server.ready["transport"] == "udp"


def test_every_kind_of_request_is_answered(flow: Flow) -> None:
    rounds, microseconds = (1000).to_bytes(4, "big"), (1000).to_bytes(4, "big")
    assert flow.ask(ECHO, 1, b"Echo") == (ECHO + 128, 1, b"Echo")
    assert flow.ask(UPPER, 2, b"upper") == (UPPER + 128, 2, b"UPPER")
    assert flow.ask(COMPUTE, 3, rounds + b"c") == (COMPUTE + 128, 3, b"c")
    assert flow.ask(WAIT, 4, microseconds + b"w") == (WAIT + 128, 4, b"w")
    assert flow.ask(ECHO, 5) == (ECHO + 128, 5, b"")
    assert flow.ask(99, 6, bytes(100))[:2] == (ERROR, 6)
    assert flow.ask(99, 7, bytes(2)) == (ERROR, 7, b"\0\3")


def test_the_largest_datagram_goes_there_and_back(flow: Flow) -> None:
    assert len(LARGEST) == MOST_DATAGRAM_BYTES
    assert flow.ask(ECHO, 7, LARGEST[HEADER_SIZE:]) == (ECHO + 128, 7, LARGEST[HEADER_SIZE:])


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="empty"),
        pytest.param(frame(ECHO, 1, b"hi")[:5], id="half a header"),
        pytest.param(frame(ECHO, 1, b"hi")[:-1], id="truncated"),
        pytest.param(LARGEST[:-1], id="large and truncated"),
        pytest.param(frame(ECHO, 1, b"hi") + b"!", id="a byte too many"),
        pytest.param(frame(ECHO, 1) * 2, id="two frames"),
        pytest.param(frame(ECHO + 128, 1, b"hi"), id="an answer"),
        pytest.param(frame(99, 1), id="an error that would not fit"),
        pytest.param(b"\x7f\xff\xff\xff" + frame(ECHO, 1)[4:], id="a size of 2 GiB"),
    ],
)
def test_what_is_no_request_is_not_answered_and_the_next_one_is(
    flow: Flow, datagram: bytes
) -> None:
    flow.send(datagram)
    assert flow.ask(ECHO, 9, b"next") == (ECHO + 128, 9, b"next")
    assert not flow.has_answer()


def test_a_request_that_comes_twice_is_answered_twice(flow: Flow) -> None:
    for _ in range(2):
        flow.send(frame(UPPER, 1, b"twice"))
    assert flow.answers(2) == [(UPPER + 128, 1, b"TWICE")] * 2


def test_requests_in_any_order_are_each_answered_under_their_tags(flow: Flow) -> None:
    tags = [9, 3, 65_535, 0, 7]
    for tag in tags:
        flow.send(frame(ECHO, tag, str(tag).encode()))
    assert sorted(flow.answers(len(tags))) == sorted(
        (ECHO + 128, tag, str(tag).encode()) for tag in tags
    )


def test_an_answer_that_nobody_takes_keeps_nobody_waiting(server: ServerProcess) -> None:
    """A lost answer: its port is closed when it comes, which the kernel tells the server."""
    for _ in range(20):
        with Flow(server.port) as gone:
            gone.send(frame(ECHO, 1, b"x" * 1000))
    with Flow(server.port) as flow:
        assert flow.ask(ECHO, 1, b"here") == (ECHO + 128, 1, b"here")


def test_every_source_gets_its_own_answers(server: ServerProcess) -> None:
    with ExitStack() as stack:
        flows = [stack.enter_context(Flow(server.port)) for _ in range(20)]
        foreign = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        foreign.bind(("127.9.9.9", 0))
        foreign.settimeout(10)
        foreign.sendto(frame(ECHO, 99, b"foreign"), ("127.0.0.1", server.port))
        for tag, flow in enumerate(flows):
            flow.send(frame(ECHO, tag, b"own"))
        for tag, flow in enumerate(flows):
            assert flow.answer() == (ECHO + 128, tag, b"own")
            assert not flow.has_answer()
        assert foreign.recvfrom(100) == (
            frame(ECHO + 128, 99, b"foreign"),
            ("127.0.0.1", server.port),
        )


# The end of serving.


@pytest.fixture(params=NAMES)
def own(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Return a server for one test, which ends it."""
    server = ServerProcess(request.param, *workers_of(request.param, 2), "--grace", "5")
    yield server
    server.close()


def blast(flow: Flow, count: int) -> None:
    """Send garbage as fast as it goes; what the kernel has no room for, it drops and counts."""
    for _ in range(count // len(GARBAGE)):
        for datagram in GARBAGE:
            flow.send(datagram)


@pytest.mark.quiet  # it reads the memory
def test_a_storm_of_garbage_leaves_the_memory_as_it_was_and_all_of_it_is_counted(
    own: ServerProcess,
) -> None:
    def is_through() -> bool:
        return queue_of(own.port).waiting_bytes == 0

    with Flow(own.port) as flow:
        flow.send(frame(99, 1))
        blast(flow, WARM_UP)
        assert eventually(is_through)
        flow.ask(ECHO)
        before = rested(own)
        blast(flow, STORM)
        assert eventually(is_through)
        assert flow.ask(ECHO, 7, b"still there?") == (ECHO + 128, 7, b"still there?")
        after = rested(own)  # the thread of an answer may outlive it by a moment
    assert after.pss_bytes - before.pss_bytes < 2**20
    assert (after.threads, after.descriptors) == (before.threads, before.descriptors)
    kernels = queue_of(own.port).drops
    own.signal(signal.SIGTERM)
    assert own.exit_code() == 0
    assert own.is_gone()
    said = own.complaints()
    first, second, *_, last = said.splitlines()
    assert {first, second} == {
        f"threadmill: a datagram was not answered: {REASONS[reason]}."
        for reason in (UNANSWERABLE, MALFORMED)
    }
    counts = {
        reason: int(number[1].replace(",", ""))
        for reason, words in REASONS.items()
        if (number := re.search(rf"([\d,]+) {words}", last))
    }
    assert counts[MALFORMED] + kernels == STORM + WARM_UP
    assert counts == {MALFORMED: counts[MALFORMED], UNANSWERABLE: 1}
    assert len(said.splitlines()) < 100


def assert_ended_cleanly(server: ServerProcess) -> None:
    assert server.exit_code() == 0
    assert server.is_gone()
    assert server.complaints() == ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", server.port))  # the port is free


def test_a_stop_answers_what_has_arrived_and_what_is_under_way(own: ServerProcess) -> None:
    with Flow(own.port) as flow:
        assert flow.ask(ECHO, 1) == (ECHO + 128, 1, b"")
        flow.send(frame(WAIT, 2, (300_000).to_bytes(4, "big") + b"wait"))
        for tag in range(10, 20):
            flow.send(frame(ECHO, tag))
        own.signal(signal.SIGTERM)
        assert sorted(flow.answers(11)) == [
            *((ECHO + 128, tag, b"") for tag in range(10, 20)),
            (WAIT + 128, 2, b"wait"),
        ]
        assert_ended_cleanly(own)


def test_a_stop_in_the_middle_of_a_stream_of_requests_ends(own: ServerProcess) -> None:
    with Flow(own.port) as flow:
        flow.ask(ECHO)
        own.signal_all(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            stream(flow)
        assert_ended_cleanly(own)


def stream(flow: Flow) -> None:
    """Send requests and take answers, as they come, until nobody receives any more."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    for _ in range(10**6):
        if time.monotonic() > deadline:
            return
        flow.send(frame(ECHO, 1, b"x" * 100))
        if flow.has_answer():
            flow.answer()


@pytest.mark.parametrize("model", ["udp", "udp-socketserver", "udp-asyncio", "udp-reuseport"])
def test_a_request_that_takes_longer_than_the_grace_is_cut_off(model: str) -> None:
    server = ServerProcess(model, *workers_of(model, 2))
    try:
        with Flow(server.port) as flow:
            flow.ask(ECHO)
            flow.send(frame(WAIT, 1, (60_000_000).to_bytes(4, "big")))
            server.signal(signal.SIGTERM)
            assert_ended_cleanly(server)
    finally:
        server.close()


def test_a_worker_that_is_killed_is_replaced_and_what_waits_in_its_socket_is_answered() -> None:
    """But for one datagram, which the worker may have had in its hands."""
    server = ServerProcess("udp-reuseport", "--workers", "2")
    try:
        with ExitStack() as stack:
            flows = [stack.enter_context(Flow(server.port)) for _ in range(16)]
            for flow in flows:
                flow.ask(ECHO)
            victim, _ = server.children()
            os.kill(victim, signal.SIGSTOP)
            for flow in flows:
                flow.send(frame(ECHO, 2))
            assert eventually(lambda: queue_of(server.port).waiting_bytes > 0)
            os.kill(victim, signal.SIGKILL)
            assert eventually(lambda: sum(flow.has_answer() for flow in flows) >= len(flows) - 1)
            assert len(server.children()) == 2
        server.signal(signal.SIGTERM)
        assert_ended_cleanly(server)
    finally:
        server.close()


def test_the_receive_buffer_is_the_one_that_was_asked_for() -> None:
    server = ServerProcess("udp", "--receive-buffer", "8192")
    try:
        with Flow(server.port) as flow:
            assert flow.ask(ECHO) == (ECHO + 128, 0, b"")
            os.kill(server.pid, signal.SIGSTOP)
            for tag in range(100):
                flow.send(frame(ECHO, tag, bytes(1000)))
            os.kill(server.pid, signal.SIGCONT)
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
            tags = [tag for _, tag, _ in answers_so_far(flow)]
            assert tags == list(range(len(tags)))  # the first ones; those after them found no room
            assert 2 <= len(tags) <= 20
    finally:
        server.close()


def answers_so_far(flow: Flow) -> Iterable[Any]:
    while flow.has_answer():
        yield flow.answer()


def test_models_are_over_one_transport_each() -> None:
    assert find("udp") in over("udp")
    assert find("thread") in over("tcp")
    assert not set(over("udp")) & set(over("tcp"))
