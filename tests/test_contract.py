"""What every model must do, over real sockets: all of the catalogue passes, or is not in it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from servers.catalog import MODELS
from servers.protocol import BYE, COMPUTE, ECHO, ERROR, UPPER, WAIT, frame
from tests.conftest import DEADLINE_SECONDS, ServerProcess, StartServer
from tests.golden import EXCHANGES, Exchange
from tests.peer import Peer

NAMES = [model.name for model in MODELS]
SEVERAL_AT_ONCE = [name for name in NAMES if name != "serial"]
MEBIBYTE = bytes(range(256)) * 4096


@pytest.fixture(scope="module", params=NAMES)
def shared(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[ServerProcess]:
    """One server of each model, for the cases that must leave it as it was."""
    server = start_server(request.param)
    yield server
    server.signal(signal.SIGTERM)
    server.exit_code()


@pytest.fixture
def server(shared: ServerProcess) -> Iterator[ServerProcess]:
    """Return the shared server; after each test it must still serve the next client."""
    yield shared
    with shared.peer() as peer:
        assert peer.ask(ECHO, 1, b"still there?") == (ECHO + 128, 1, b"still there?")


@pytest.fixture
def peer(server: ServerProcess) -> Iterator[Peer]:
    with server.peer() as peer:
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


# Many peers.


def test_fifty_connections_one_after_another(server: ServerProcess) -> None:
    for number in range(50):
        with server.peer() as peer:
            assert peer.ask(ECHO, number, b"next") == (ECHO + 128, number, b"next")


def test_twenty_connections_at_once_are_all_served(server: ServerProcess) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(20)]
        for tag, peer in enumerate(peers):
            peer.send(frame(ECHO, tag))
        # In the order in which they came, and each leaves: that suits serial, too.
        for tag, peer in enumerate(peers):
            assert peer.answer() == (ECHO + 128, tag, b"")
            peer.socket.close()


@pytest.mark.parametrize("shared", SEVERAL_AT_ONCE, indirect=True)
def test_twenty_connections_at_once_need_not_wait_for_each_other(server: ServerProcess) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(20)]
        for tag, peer in enumerate(reversed(peers)):
            assert peer.ask(ECHO, tag) == (ECHO + 128, tag, b"")


@pytest.mark.parametrize("shared", ["serial"], indirect=True)
def test_serial_serves_one_connection_after_another(server: ServerProcess) -> None:
    with server.peer() as first, server.peer() as second:
        second.send(frame(ECHO, 2))
        for tag in range(100):
            assert first.ask(ECHO, tag) == (ECHO + 128, tag, b"")
        second.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.socket.recv(1)
        second.socket.settimeout(10)
        first.socket.close()
        assert second.answer() == (ECHO + 128, 2, b"")


@pytest.mark.parametrize("model", ["thread-pool", "process-pool"])
def test_a_pool_serves_as_many_connections_as_it_has_workers(
    start_server: StartServer, model: str
) -> None:
    server = start_server(model, "--workers", "2")
    with server.peer() as first, server.peer() as second, server.peer() as third:
        third.send(frame(ECHO, 3))
        for tag in range(100):
            assert first.ask(ECHO, tag) == second.ask(ECHO, tag) == (ECHO + 128, tag, b"")
        third.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.socket.recv(1)
        third.socket.settimeout(10)
        first.socket.close()
        assert third.answer() == (ECHO + 128, 3, b"")


# The end of serving.


@pytest.fixture(params=NAMES)
def own(request: pytest.FixtureRequest, start_server: StartServer) -> ServerProcess:
    """Return a server for one test, which ends it."""
    workers = ["--workers", "4"] if "pool" in request.param else []
    return start_server(request.param, *workers)


def assert_ended_cleanly(server: ServerProcess) -> None:
    assert server.exit_code() == 0
    assert server.is_gone()
    with pytest.raises(ConnectionRefusedError):
        server.peer()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server(own: ServerProcess, number: int) -> None:
    own.signal(number)
    assert_ended_cleanly(own)


def test_a_stop_ends_an_open_connection_that_is_idle(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)
        own.signal(signal.SIGTERM)
        assert peer.is_at_end()
        assert_ended_cleanly(own)


def test_a_stop_sent_to_the_whole_group_is_as_clean(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)
        own.signal_all(signal.SIGTERM)
        assert peer.is_at_end()
        assert_ended_cleanly(own)


def test_signals_that_keep_coming_while_it_ends_change_nothing(own: ServerProcess) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while own.process.poll() is None and time.monotonic() < deadline:
        own.signal(signal.SIGTERM)
        time.sleep(0.0005)
    assert_ended_cleanly(own)


def test_what_had_arrived_before_a_stop_is_answered(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)  # the connection has been accepted
        peer.send(b"".join(frame(ECHO, tag) for tag in range(10)))
        own.signal(signal.SIGTERM)
        assert peer.rest() == b"".join(frame(ECHO + 128, tag) for tag in range(10))
        assert_ended_cleanly(own)


def test_a_stop_under_load_is_clean_for_the_peer(own: ServerProcess) -> None:
    with own.peer() as peer:
        for tag in range(100):
            peer.ask(ECHO, tag)
        own.signal(signal.SIGTERM)
        with suppress(EOFError, ConnectionError):
            while True:
                assert peer.ask(ECHO, 1, b"x" * 1000) == (ECHO + 128, 1, b"x" * 1000)
        assert_ended_cleanly(own)


@pytest.mark.parametrize("kind", [COMPUTE, WAIT], ids=["COMPUTE", "WAIT"])
def test_a_request_that_takes_longer_than_the_grace_is_cut_off(
    own: ServerProcess, kind: int
) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)
        # One after another, so that no machine is fast enough.
        peer.send(frame(kind, 1, (60_000_000).to_bytes(4, "big")) * 50)
        own.signal(signal.SIGTERM)
        assert_ended_cleanly(own)


def test_a_stop_does_not_wait_for_a_peer_that_never_reads(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.send_until_nobody_reads(frame(ECHO, 1, MEBIBYTE))
        own.signal(signal.SIGTERM)
        assert_ended_cleanly(own)


def test_the_end_of_standard_input_takes_everything_along(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)
        assert own.process.stdin
        own.process.stdin.close()
        assert own.is_gone()
        assert own.exit_code() == -signal.SIGIO
