"""The service without a socket: frames in, steps out."""

from __future__ import annotations

from contextlib import closing
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers import service
from servers.drivers import RECEIVE_BYTES
from servers.files import Files
from servers.protocol import (
    BYE,
    COMPUTE,
    DEFAULT_LIMIT,
    ECHO,
    ERROR,
    HEADER,
    HEADER_SIZE,
    LIST,
    UPPER,
    WAIT,
    Connection,
    Frame,
    frame,
)
from servers.service import (
    MOST_ROUNDS,
    MOST_WAIT_MICROSECONDS,
    PORTION,
    SENTENCE_BYTES,
    Session,
)
from servers.steps import TURN, Run, SendFile
from tests.golden import EXCHANGES, Exchange

ROUNDS = (1000).to_bytes(4, "big")


def steps(*requests: bytes) -> list[bytes | float]:
    """Return the steps that a new session takes: bytes, or the seconds of a Wait."""
    session = Session()
    received = session.receive(b"".join(requests))
    return [
        step if isinstance(step, bytes) else step.seconds
        for step in received
        if not isinstance(step, SendFile | Run)  # there are no files and no commands here
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
        0,
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


# Many requests at once.

MOST_READY = RECEIVE_BYTES + PORTION * (HEADER_SIZE + SENTENCE_BYTES)
"""Bytes in one step, when a driver has received no more than it does and no answer is large."""


@pytest.mark.parametrize(
    "request_frame",
    [
        pytest.param(frame(ECHO, 1), id="tiny"),
        pytest.param(frame(UPPER, 1, bytes(1000)), id="small"),
        pytest.param(frame(99, 1), id="refused"),
        pytest.param(frame(WAIT, 1, b"\xff" * 4), id="over a limit"),
        pytest.param(frame(LIST, 1), id="without files"),
    ],
)
def test_what_a_connection_has_ready_is_bounded_and_the_others_get_their_turn(
    request_frame: bytes,
) -> None:
    data = request_frame * (RECEIVE_BYTES // len(request_frame))
    *taken, last = Session().receive(data)
    sizes = [len(step) for step in [*taken, last] if isinstance(step, bytes)]
    assert max(sizes) <= MOST_READY
    framing = Connection()
    answers = [framing.receive(step) for step in [*taken, last] if isinstance(step, bytes)]
    assert sum(map(len, answers)) == RECEIVE_BYTES // len(request_frame)
    turns = [step for step in [*taken, last] if step is TURN]
    assert len(turns) >= len(sizes) - 1


@given(kind=st.integers(0, 255), body=st.binary(max_size=300))
def test_an_answer_that_is_bytes_is_no_longer_than_its_request_or_a_sentence(
    kind: int, body: bytes
) -> None:
    with (
        TemporaryDirectory() as root,
        closing(Files(root, DEFAULT_LIMIT)) as files,
        closing(Session(files=files)) as session,
    ):
        reply = session.respond((kind, 1, body))
    assert not isinstance(reply, bytes) or len(reply) <= HEADER_SIZE + max(
        len(body), SENTENCE_BYTES
    )


def test_of_many_requests_none_is_answered_before_the_one_ahead_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered: list[int] = []

    def respond(_: Session, request: Frame) -> bytes:
        answered.append(request[1])
        return b"answer"

    monkeypatch.setattr(Session, "respond", respond)
    coming = iter(Session().receive(frame(ECHO, 1) * (3 * PORTION)))
    for portions in (1, 2, 3):
        assert next(coming) == b"answer" * PORTION
        assert len(answered) == portions * PORTION
        assert next(coming) is TURN


def test_nothing_is_answered_after_a_portion_that_closes() -> None:
    bye = frame(BYE, 1)
    session = Session()
    received = session.receive(frame(ECHO, 1) * (PORTION - 1) + bye + frame(ECHO, 2) * PORTION)
    [answers] = received
    assert isinstance(answers, bytes)
    assert answers.endswith(frame(BYE + 128, 1))


def test_a_turn_follows_each_answer_that_takes_its_time() -> None:
    requests = [frame(COMPUTE, 1, ROUNDS), frame(COMPUTE, 2, ROUNDS), frame(ECHO, 3)]
    assert steps(*requests) == [
        frame(COMPUTE + 128, 1),
        0,
        frame(COMPUTE + 128, 2),
        0,
        frame(ECHO + 128, 3),
    ]
