"""The service without a socket: frames in, steps out."""

from __future__ import annotations

import pytest

from servers import service
from servers.protocol import BYE, COMPUTE, ECHO, ERROR, HEADER, UPPER, WAIT, Connection, frame
from servers.service import MOST_ROUNDS, MOST_WAIT_MICROSECONDS, Session
from servers.steps import SendFile
from tests.golden import EXCHANGES, Exchange

ROUNDS = (1000).to_bytes(4, "big")


def steps(*requests: bytes) -> list[bytes | float]:
    """Return the steps that a new session takes: bytes, or the seconds of a Wait."""
    session = Session()
    received = session.receive(b"".join(requests))
    return [
        step if isinstance(step, bytes) else step.seconds
        for step in received
        if not isinstance(step, SendFile)  # there are no files here
    ]


def error_code(answer: bytes) -> int:
    [(kind, _, body)] = Connection().receive(answer)
    assert kind == ERROR
    return int.from_bytes(body[:2], "big")


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_the_golden_bytes(exchange: Exchange) -> None:
    *_, answer = steps(bytes.fromhex(exchange.request))
    assert isinstance(answer, bytes)
    assert exchange.is_answered_by(answer)


def test_ready_answers_are_joined() -> None:
    assert steps(frame(ECHO, 1, b"a"), frame(UPPER, 2, b"b")) == [
        frame(ECHO + 128, 1, b"a") + frame(UPPER + 128, 2, b"B")
    ]


def test_nothing_received_gives_no_step() -> None:
    assert steps(b"") == []
    assert steps(frame(ECHO, 1, b"cut off")[:-1]) == []


def test_a_request_alone_takes_the_steps_that_it_takes_among_others() -> None:
    wait = frame(WAIT, 1, (500_000).to_bytes(4, "big"))
    assert steps(wait) == [0.5, frame(WAIT + 128, 1)]
    assert steps(frame(COMPUTE, 1, ROUNDS)) == [frame(COMPUTE + 128, 1)]


def test_what_is_ready_is_sent_before_a_wait() -> None:
    wait = frame(WAIT, 2, (500_000).to_bytes(4, "big") + b"w")
    assert steps(frame(ECHO, 1), wait, frame(ECHO, 3), frame(ECHO, 4)) == [
        frame(ECHO + 128, 1),
        0.5,
        frame(WAIT + 128, 2, b"w"),
        frame(ECHO + 128, 3) + frame(ECHO + 128, 4),
    ]


def test_what_is_ready_is_sent_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(service, "compute", computed.append)
    session = Session()
    coming = iter(session.receive(frame(ECHO, 1) + frame(COMPUTE, 2, ROUNDS + b"c")))
    assert next(coming) == frame(ECHO + 128, 1)
    assert computed == []
    assert next(coming) == frame(COMPUTE + 128, 2, b"c")
    assert computed == [1000]


@pytest.mark.parametrize(
    ("request_frame", "code"),
    [
        pytest.param(frame(99, 1), 3, id="unknown kind"),
        pytest.param(frame(0, 1), 3, id="kind 0"),
        pytest.param(frame(ECHO + 128, 1), 3, id="an answer as a request"),
        pytest.param(frame(ERROR, 1), 3, id="an error as a request"),
        pytest.param(frame(COMPUTE, 1, b"abc"), 4, id="compute without its rounds"),
        pytest.param(frame(WAIT, 1, b""), 4, id="wait without its time"),
        pytest.param(
            frame(COMPUTE, 1, (MOST_ROUNDS + 1).to_bytes(4, "big")), 5, id="too many rounds"
        ),
        pytest.param(
            frame(WAIT, 1, (MOST_WAIT_MICROSECONDS + 1).to_bytes(4, "big")), 5, id="too long"
        ),
    ],
)
def test_a_bad_request_is_refused_and_the_connection_goes_on(
    request_frame: bytes, code: int
) -> None:
    echo = frame(ECHO + 128, 2)
    [answers] = steps(request_frame, frame(ECHO, 2))
    assert isinstance(answers, bytes)
    assert answers.endswith(echo)
    assert error_code(answers.removesuffix(echo)) == code


def test_the_most_that_may_be_waited_for_is_not_refused() -> None:
    assert steps(frame(WAIT, 1, MOST_WAIT_MICROSECONDS.to_bytes(4, "big"))) == [
        60.0,
        frame(WAIT + 128, 1),
    ]


def test_after_bye_nothing_is_answered() -> None:
    session = Session()
    assert list(session.receive(frame(BYE, 1) + frame(ECHO, 2))) == [frame(BYE + 128, 1)]
    assert session.closing


def test_a_fault_is_answered_in_its_turn_and_closes() -> None:
    session = Session(limit=10)
    [answer] = session.receive(frame(ECHO, 1, b"a") + HEADER.pack(11, ECHO, 0, 2))
    assert isinstance(answer, bytes)
    echo = frame(ECHO + 128, 1, b"a")
    assert answer.startswith(echo)
    assert error_code(answer.removeprefix(echo)) == 1
    assert session.closing
