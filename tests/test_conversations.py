"""What every driver must do with the frames of a conversation, whatever model it serves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from servers.protocol import BYE, COMPUTE, ECHO, ERROR, UPPER, WAIT, frame
from tests.conversations import Conversations, conversing, unharmed
from tests.golden import EXCHANGES, Exchange
from tests.peer import Peer

MEBIBYTE = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def shared(driver: str) -> Iterator[Conversations]:
    with conversing(driver) as conversations:
        yield conversations


@pytest.fixture
def peer(shared: Conversations) -> Iterator[Peer]:
    with unharmed(shared), shared.peer() as peer:
        yield peer


# The conversation.


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_the_golden_bytes(peer: Peer, exchange: Exchange) -> None:
    peer.send(bytes.fromhex(exchange.request))
    peer.end()
    assert exchange.is_answered_by(peer.rest())


def test_frames_byte_by_byte(peer: Peer) -> None:
    for byte in frame(ECHO, 1, b"slowly") + frame(UPPER, 2, b"but surely"):
        peer.send(bytes([byte]))
    assert peer.answers(2) == [(ECHO + 128, 1, b"slowly"), (UPPER + 128, 2, b"BUT SURELY")]


def test_frames_all_at_once(peer: Peer) -> None:
    rounds, microseconds = (1000).to_bytes(4, "big"), (1000).to_bytes(4, "big")
    peer.send(
        frame(ECHO, 1, b"a")
        + frame(COMPUTE, 2, rounds + b"b")
        + frame(99, 3)
        + frame(WAIT, 4, microseconds + b"d")
        + frame(UPPER, 5, b"e")
        + frame(ECHO, 6, b"cut off")[:-1]
    )
    answers = peer.answers(5)
    assert [kind for kind, _, _ in answers] == [129, 131, ERROR, 132, 130]
    assert [tag for _, tag, _ in answers] == [1, 2, 3, 4, 5]
    assert [body for kind, _, body in answers if kind != ERROR] == [b"a", b"b", b"d", b"E"]


def test_fifty_pipelined_requests(peer: Peer) -> None:
    bodies = [f"request {number}".encode() for number in range(50)]
    peer.send(b"".join(frame(ECHO, tag, body) for tag, body in enumerate(bodies)))
    assert peer.answers(50) == [(ECHO + 128, tag, body) for tag, body in enumerate(bodies)]


def test_an_empty_body(peer: Peer) -> None:
    assert peer.ask(ECHO, 65_535) == (ECHO + 128, 65_535, b"")


def test_a_body_of_four_mebibytes(peer: Peer) -> None:
    assert peer.ask(ECHO, 1, MEBIBYTE * 4) == (ECHO + 128, 1, MEBIBYTE * 4)


def test_a_wait_takes_its_time(peer: Peer) -> None:
    began = time.monotonic()
    assert peer.ask(WAIT, 1, (20_000).to_bytes(4, "big") + b"w") == (WAIT + 128, 1, b"w")
    assert time.monotonic() - began >= 0.02


# Its end.


def test_a_half_closed_peer_gets_every_answer_and_the_end(peer: Peer) -> None:
    requests = [frame(ECHO, tag, b"x" * 1000) for tag in range(100)]
    peer.send(b"".join(requests) + frame(ECHO, 100, b"cut off")[:-1])
    peer.end()
    assert peer.rest() == b"".join(frame(ECHO + 128, tag, b"x" * 1000) for tag in range(100))


def test_a_peer_that_says_nothing_gets_a_clean_end(peer: Peer) -> None:
    peer.end()
    assert peer.is_at_end()


def test_bye_is_answered_and_nothing_after_it(peer: Peer) -> None:
    peer.send(frame(ECHO, 1) + frame(BYE, 2) + frame(ECHO, 3))
    assert peer.rest() == frame(ECHO + 128, 1) + frame(BYE + 128, 2)


def test_the_answer_to_bye_arrives_though_more_was_sent(peer: Peer) -> None:
    # More than the server receives at once: to close then would reset the connection.
    peer.send(frame(BYE, 1) + MEBIBYTE[:200_000])
    assert peer.rest() == frame(BYE + 128, 1)
