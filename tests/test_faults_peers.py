"""Peers that are slow or do wrong, before every model: who else notices, and what is left of it.

What such a peer is answered is its driver's doing, and shown in test_faults.py.
"""

from __future__ import annotations

import re
import select
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import pytest

from servers.protocol import BYE, COMPUTE, ECHO, HEADER, UPPER, WAIT, frame
from tests.abuse import LIMIT, code_of, how_others_fare, serving, unharmed
from tests.conftest import Outcome, ServerProcess
from tests.peer import Peer

NOTICED_SECONDS = 0.1
"""After which a peer knows what the server has done to it."""
ATTEMPTS = 3
"""On a machine that is busy another may be served so late that it seems to have waited."""
PEERS = 60
NUMBER = (10).to_bytes(4, "big")
SPOKEN = b"".join(
    [
        frame(ECHO, 1, b"hi"),
        frame(UPPER, 2, b"hi"),
        frame(COMPUTE, 3, NUMBER + b"c"),
        frame(WAIT, 4, NUMBER + b"w"),
        frame(BYE, 5),
    ]
)


@pytest.fixture
def hurried(model: str) -> Iterator[ServerProcess]:
    # One worker, so that in a pool nobody else is served before the slow peer has been cut off.
    with serving(model, "--idle-timeout", "0.3", workers=1) as server:
        yield server


def _hears(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], NOTICED_SECONDS)[0])


def test_an_idle_connection(hurried: ServerProcess, outcome: Outcome) -> None:
    with unharmed(hurried):
        for _ in range(ATTEMPTS):
            with hurried.peer() as peer:
                fate = how_others_fare(hurried, partial(_hears, peer.socket))
                assert code_of(peer.answer()) == 16
                assert peer.is_at_end()
            if fate == "others served":
                break
    hurried.signal(signal.SIGTERM)
    assert hurried.exit_code() == 0
    lines = hurried.complaints().splitlines()
    idle = [each for each in lines if re.search(r"127\.0\.0\.1:\d+ sent no whole frame", each)]
    assert idle
    assert f"{len(idle)} connections closed by --idle-timeout, 0 reset" in lines[-1]
    outcome(fate)


def leave_after_a_part(peer: Peer, draw: Random) -> None:
    peer.send(SPOKEN[: draw.randrange(len(SPOKEN))])
    peer.end()
    peer.rest()


def reset_after_a_part(peer: Peer, draw: Random) -> None:
    peer.send(SPOKEN[: draw.randrange(len(SPOKEN))])
    peer.reset()


def break_the_framing(peer: Peer, draw: Random) -> None:
    peer.send(HEADER.pack(LIMIT + 1, ECHO, draw.randrange(2), 9) + bytes(draw.randrange(1000)))
    assert code_of(peer.answer()) in {1, 2}
    assert peer.is_at_end()


def reset_in_mid_reply(peer: Peer, _draw: Random) -> None:
    peer.send(frame(ECHO, 1, bytes(LIMIT // 4)))
    peer.socket.recv(1)
    peer.reset()


MISDEEDS = (leave_after_a_part, reset_after_a_part, break_the_framing, reset_in_mid_reply)


def test_a_soak_of_faulty_peers(model: str, outcome: Outcome) -> None:
    """Each does a thing of its own, and the next client is served."""
    draw = Random(6)  # noqa: S311 - an order to be repeated, not a secret
    with serving(model, "--limit", str(LIMIT)) as server:
        for misbehave in MISDEEDS:  # what is kept of the first of a kind is no leak
            suffer(server, misbehave, draw)
        with unharmed(server):
            for _ in range(PEERS):
                suffer(server, draw.choice(MISDEEDS), draw)
    outcome("others served")


def suffer(server: ServerProcess, misbehave: Callable[[Peer, Random], None], draw: Random) -> None:
    with server.peer() as peer:
        misbehave(peer, draw)
    with server.peer() as another:
        assert another.ask(ECHO, 1, b"and I?") == (ECHO + 128, 1, b"and I?")
