"""What every model must do, over real sockets: all of the catalogue passes, or is not in it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bench.measure import meter
from servers.protocol import BYE, COMPUTE, ECHO, ERROR, EXEC, UPPER, WAIT, frame
from tests.abuse import code_of
from tests.commanded import options_of, programs, run
from tests.conftest import (
    DEADLINE_SECONDS,
    SEVERAL_AT_ONCE,
    ServerProcess,
    StartServer,
    eventually,
    workers_of,
)
from tests.peer import Peer
from tests.rows import NAMES, ONE_OF_EACH_FILE, RUNNABLE

COMMANDS = options_of(programs(Path(os.devnull)))
HOW = ("one", "workers", "many", "dealt")
SERVES = {how: [model.name for model in RUNNABLE if model.serves == how] for how in HOW}
MEBIBYTE = bytes(range(256)) * 4096


@pytest.fixture(scope="module", params=NAMES)
def shared(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[ServerProcess]:
    """One server of each model, for the cases that must leave it as it was."""
    workers = workers_of(request.param, 20)
    server = start_server(request.param, *workers, *COMMANDS)
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


def test_every_kind_of_request_is_answered(peer: Peer) -> None:
    """The smoke test: what the frames may be like is a driver's affair (test_conversations.py)."""
    rounds, microseconds = (1000).to_bytes(4, "big"), (1000).to_bytes(4, "big")
    assert peer.ask(ECHO, 1, b"Echo") == (ECHO + 128, 1, b"Echo")
    assert peer.ask(UPPER, 2, b"upper") == (UPPER + 128, 2, b"UPPER")
    assert peer.ask(COMPUTE, 3, rounds + b"c") == (COMPUTE + 128, 3, b"c")
    assert peer.ask(WAIT, 4, microseconds + b"w") == (WAIT + 128, 4, b"w")
    assert peer.ask(99, 5)[:2] == (ERROR, 5)
    assert peer.ask(ECHO, 6, MEBIBYTE) == (ECHO + 128, 6, MEBIBYTE)
    assert peer.ask(BYE, 7) == (BYE + 128, 7, b"")
    assert peer.is_at_end()


def test_commands_are_run_or_refused_and_leave_no_zombie(server: ServerProcess, peer: Peer) -> None:
    peer.ask(ECHO)
    before = len(meter.tree(server.pid))
    for tag in range(3):
        assert run(peer, "hello", tag)[0] == b"hello world\n"
    assert run(peer, "fails")[1]["exit"] == 7
    assert run(peer, "kills itself")[1]["signal"] == signal.SIGTERM
    assert run(peer, "floods")[1]["cut"]
    assert code_of(peer.ask(EXEC, 1, b"missing")) == 19
    assert code_of(peer.ask(EXEC, 1, b"not executable")) == 19
    assert eventually(lambda: len(meter.tree(server.pid)) == before)


def test_a_half_closed_peer_gets_every_answer_and_the_end(peer: Peer) -> None:
    peer.send(frame(ECHO, 1, b"x") * 100 + frame(ECHO, 1, b"cut off")[:-1])
    peer.end()
    assert peer.rest() == frame(ECHO + 128, 1, b"x") * 100


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


@pytest.mark.parametrize("shared", SERVES["one"], indirect=True)
def test_a_model_that_serves_one_serves_one_connection_after_another(server: ServerProcess) -> None:
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


@pytest.mark.parametrize("model", SERVES["workers"])
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


@pytest.mark.parametrize("model", SERVES["dealt"])
def test_connections_that_are_dealt_out_wait_for_their_own_worker(
    start_server: StartServer, model: str
) -> None:
    server = start_server(model, "--workers", "2")
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(16)]
        for peer in peers:
            peer.send(frame(ECHO, 1))
        by_socket = {peer.socket: peer for peer in peers}

        def answered() -> list[socket.socket]:
            return select.select(list(by_socket), [], [], 0)[0]

        while by_socket:  # down to the last, whose worker may be one for both of the last two
            assert eventually(lambda: bool(answered()))
            assert len(answered()) <= 2
            for sock in answered():
                assert by_socket.pop(sock).answer() == (ECHO + 128, 1, b"")
                sock.close()


# The end of serving.


@pytest.fixture(params=ONE_OF_EACH_FILE)
def own(request: pytest.FixtureRequest, start_server: StartServer) -> ServerProcess:
    """Return a server for one test, which ends it."""
    return start_server(request.param, *workers_of(request.param, 2), "--grace", "10")


@pytest.fixture(params=ONE_OF_EACH_FILE)
def hasty(request: pytest.FixtureRequest, start_server: StartServer) -> ServerProcess:
    """Return a server that nobody keeps waiting for long when it ends."""
    return start_server(request.param, *workers_of(request.param, 2))


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


@pytest.mark.parametrize("own", NAMES, indirect=True)
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
    hasty: ServerProcess, kind: int
) -> None:
    with hasty.peer() as peer:
        peer.ask(ECHO)
        # One after another, so that no machine is fast enough.
        peer.send(frame(kind, 1, (60_000_000).to_bytes(4, "big")) * 50)
        hasty.signal(signal.SIGTERM)
        assert_ended_cleanly(hasty)


def test_a_stop_does_not_wait_for_a_peer_that_never_reads(hasty: ServerProcess) -> None:
    with hasty.peer() as peer:
        peer.send_until_nobody_reads(frame(ECHO, 1, MEBIBYTE))
        hasty.signal(signal.SIGTERM)
        assert_ended_cleanly(hasty)


def test_the_end_of_standard_input_takes_everything_along(own: ServerProcess) -> None:
    with own.peer() as peer:
        peer.ask(ECHO)
        assert own.process.stdin
        own.process.stdin.close()
        assert own.is_gone()
        assert own.exit_code() == -signal.SIGIO
