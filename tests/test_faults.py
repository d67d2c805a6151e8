"""Every driver survives the same abuse, and nothing of it stays behind.

What each case comes to is in docs/faults.md, which `make faults` writes from this suite.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from servers.protocol import (
    BYE,
    COMPUTE,
    ECHO,
    ERROR,
    HEADER,
    UPPER,
    WAIT,
    Connection,
    frame,
)
from servers.service import Session
from tests import test_faults_commands, test_faults_ends, test_faults_peers, test_faults_workers
from tests.abuse import LIMIT, code_of
from tests.conftest import Outcome
from tests.conversations import Conversations, conversing, unharmed
from tests.outcomes import PAGE, WRITING, parse
from tests.peer import Peer

MEBIBYTE = bytes(range(256)) * 4096
TIMEOUT = 0.5


@pytest.fixture(scope="module")
def shared(driver: str) -> Iterator[Conversations]:
    with conversing(driver, limit=LIMIT) as conversations:
        yield conversations


@pytest.fixture
def server(shared: Conversations) -> Iterator[Conversations]:
    """Return conversations of which the test must leave nothing behind."""
    with unharmed(shared):
        yield shared


@pytest.fixture
def peer(server: Conversations) -> Iterator[Peer]:
    with server.peer() as peer:
        yield peer


# Framing.

COUNT, TIME = (10).to_bytes(4, "big"), (50).to_bytes(4, "big")
CONVERSATION = [
    (frame(ECHO, 1, b"hi"), frame(ECHO + 128, 1, b"hi")),
    (frame(UPPER, 2, b"hi"), frame(UPPER + 128, 2, b"HI")),
    (frame(COMPUTE, 3, COUNT + b"c"), frame(COMPUTE + 128, 3, b"c")),
    (frame(WAIT, 4, TIME + b"w"), frame(WAIT + 128, 4, b"w")),
    (frame(BYE, 5), frame(BYE + 128, 5)),
]
SPOKEN = b"".join(request for request, _ in CONVERSATION)


def answers_to(prefix: bytes) -> bytes:
    """Return the answers to the requests that are whole in a prefix of the conversation."""
    end, answers = 0, b""
    for request, answer in CONVERSATION:
        end += len(request)
        answers += answer if end <= len(prefix) else b""
    return answers


def test_every_prefix_of_a_conversation_then_FIN(  # noqa: N802
    server: Conversations, outcome: Outcome
) -> None:
    for length in range(len(SPOKEN) + 1):
        with server.peer() as peer:
            peer.send(SPOKEN[:length])
            peer.end()
            assert peer.rest() == answers_to(SPOKEN[:length])
    outcome("whole requests answered, end")


def test_every_prefix_of_a_conversation_then_RST(  # noqa: N802
    server: Conversations, outcome: Outcome
) -> None:
    for length in range(len(SPOKEN) + 1):
        with server.peer() as peer:
            peer.send(SPOKEN[:length])
            peer.reset()
    outcome("the connection is over")


def is_quick(data: bytes) -> bool:
    """Whether no frame in there asks for much time."""
    return not any(
        kind in {COMPUTE, WAIT} and int.from_bytes(body[:4], "big") > 1000
        for kind, _, body in Connection(LIMIT).receive(data)
    )


HEADERS = st.builds(
    HEADER.pack, st.integers(0, 40), st.integers(0, 255), st.sampled_from([0, 0, 0, 1]), st.just(7)
)
NOISE = st.lists(HEADERS | st.binary(max_size=50), max_size=10).map(b"".join).filter(is_quick)


def answers_of(session: Session, pieces: list[bytes]) -> bytes:
    """Return all that a session answers to what arrives in these pieces, up to its end."""
    said = b""
    for piece in pieces:
        if not session.closing:
            said += b"".join(step for step in session.receive(piece) if isinstance(step, bytes))
    return said


@settings(max_examples=100, deadline=None)
@given(NOISE, st.lists(st.integers(0, 500)))
def test_no_bytes_upset_the_framing_however_they_are_split(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    connection = Connection(LIMIT)
    frames = [frame for piece in pieces for frame in connection.receive(piece)]
    assert frames == Connection(LIMIT).receive(data)
    assert answers_of(Session(LIMIT), pieces) == answers_of(Session(LIMIT), [data])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=NOISE)
def test_random_bytes(server: Conversations, outcome: Outcome, data: bytes) -> None:
    assume(data)
    with server.peer() as peer:
        peer.send(data)
        peer.end()
        answers = peer.rest()
    framing = Connection(LIMIT)
    assert all(kind >= 128 for kind, _, _ in framing.receive(answers))
    assert framing.receive(frame(0, 0)) == [(0, 0, b"")]  # the answers had ended between frames
    outcome("answers or errors, end")


@pytest.mark.parametrize("size", [0, LIMIT], ids=["0", "the limit"])
def test_a_body_of_a_size_that_may_be(peer: Peer, size: int, outcome: Outcome) -> None:
    assert peer.ask(ECHO, 1, bytes(size)) == (ECHO + 128, 1, bytes(size))
    outcome("answered")


@pytest.mark.parametrize("body", [b"", MEBIBYTE], ids=["header alone", "body follows"])
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(HEADER.pack(LIMIT + 1, ECHO, 0, 9), id="size one over the limit"),
        pytest.param(HEADER.pack(2**32 - 1, ECHO, 0, 9), id="size 2^32 less one"),
        pytest.param(HEADER.pack(5, ECHO, 1, 9), id="flags"),
    ],
)
def test_a_broken_header(peer: Peer, header: bytes, body: bytes, outcome: Outcome) -> None:
    peer.send(frame(ECHO, 1, b"before") + header + body)
    assert peer.answer() == (ECHO + 128, 1, b"before")
    error = peer.answer()
    assert error[1] == 9
    assert peer.is_at_end()
    outcome(f"error {code_of(error)}, end")


@pytest.mark.parametrize(
    "request_frame",
    [
        pytest.param(frame(99, 9), id="an unknown kind"),
        pytest.param(frame(ECHO + 128, 9), id="an answer sent as a request"),
        pytest.param(frame(ERROR, 9, b"\0\1no"), id="an error sent as a request"),
        pytest.param(frame(COMPUTE, 9, b"abc"), id="a body too short"),
        pytest.param(frame(COMPUTE, 9, b"\xff" * 4), id="too many rounds"),
        pytest.param(frame(WAIT, 9, b"\xff" * 4), id="too long a wait"),
    ],
)
def test_a_bad_request(peer: Peer, request_frame: bytes, outcome: Outcome) -> None:
    peer.send(request_frame)
    error = peer.answer()
    assert error[1] == 9
    assert peer.ask(ECHO, 1, b"go on") == (ECHO + 128, 1, b"go on")
    outcome(f"error {code_of(error)}, goes on")


def test_a_reset_in_mid_reply(peer: Peer, outcome: Outcome) -> None:
    requests = memoryview(b"".join(frame(ECHO, tag, MEBIBYTE[:-1]) for tag in range(8)))
    # No more than is taken: a server whose reply is under way may read nothing until it is gone.
    while not (ready := select.select([peer.socket], [peer.socket] if requests else [], []))[0]:
        requests = requests[peer.socket.send(requests) :] if ready[1] else requests
    peer.socket.recv(1)
    peer.reset()
    outcome("the connection is over")


def test_a_reset_in_mid_request(peer: Peer, outcome: Outcome) -> None:
    peer.send(frame(ECHO, 1, MEBIBYTE)[:-1])
    peer.reset()
    outcome("the connection is over")


# Slow peers. They are waited for half a second, if at all.


@pytest.fixture(scope="module")
def impatient(driver: str) -> Iterator[Conversations]:
    with conversing(driver, idle_seconds=TIMEOUT, write_seconds=TIMEOUT) as conversations:
        yield conversations


@pytest.fixture
def hurried(impatient: Conversations) -> Iterator[Conversations]:
    with unharmed(impatient):
        yield impatient


Said = pytest.CaptureFixture[str]


def test_a_peer_that_says_nothing(hurried: Conversations, outcome: Outcome, capfd: Said) -> None:
    with hurried.peer() as peer:
        answer = peer.answer()
        assert peer.is_at_end()
    assert re.search(r"127\.0\.0\.1:\d+ sent no whole frame", capfd.readouterr().err)
    outcome(f"error {code_of(answer)}, end")


def test_a_header_of_a_byte_each_100_ms(hurried: Conversations, outcome: Outcome) -> None:
    with hurried.peer() as peer:
        sent = b""
        for byte in frame(ECHO, 1, bytes(100)):
            sent += bytes([byte])
            peer.send(bytes([byte]))
            if select.select([peer.socket], [], [], 0.1)[0]:
                break
        assert len(sent) < HEADER.size + 10
        answer = peer.answer()
        assert peer.is_at_end()
    outcome(f"error {code_of(answer)}, end")


def test_a_peer_that_never_reads_64_MiB_of_replies(  # noqa: N802
    hurried: Conversations, outcome: Outcome, capfd: Said
) -> None:
    with hurried.peer() as peer, pytest.raises(ConnectionError):
        peer.send(frame(ECHO, 1, MEBIBYTE) * 64)
    hurried.wait_until_over()
    assert re.search(r"127\.0\.0\.1:\d+ took no byte", capfd.readouterr().err)
    outcome("reset")


def test_a_slow_reader(hurried: Conversations, outcome: Outcome) -> None:
    answers = frame(ECHO + 128, 1, MEBIBYTE) * 8  # more than the kernel takes from the driver
    with hurried.peer(receive_bytes=2**18) as peer:
        sender = Thread(target=peer.send, args=[frame(ECHO, 1, MEBIBYTE) * 8])
        sender.start()
        read = b""
        while len(read) < len(answers):
            time.sleep(0.03)  # this is the slowness that the case is about
            read += peer.socket.recv(2**18)
        sender.join()
    assert read.startswith(answers)
    outcome("answered")


# The page.


@pytest.mark.skipif(bool(os.environ.get(WRITING)), reason="it is being written")
def test_the_page_has_no_case_that_the_suite_has_not() -> None:
    others = test_faults_commands, test_faults_ends, test_faults_peers, test_faults_workers
    names = set(globals()).union(*(vars(module) for module in others))
    tests = {name.removeprefix("test_").replace("_", " ") for name in names}
    assert {case.split(":")[0] for case, _ in parse(PAGE.read_text(encoding="utf-8"))} <= tests
