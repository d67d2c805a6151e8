"""Commands that go wrong and peers that leave them: with every driver, and the ends of servers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.command import COMMAND_BYTES, COMPLAINT_BYTES
from servers.drivers import awaited, running
from servers.protocol import DATA, ECHO, EXEC, frame
from tests.abuse import POOL_SIZE, code_of
from tests.commanded import (
    beat_after,
    commanding,
    end_of,
    first_output,
    leaving_nothing,
    lives,
    noted_in,
    options_of,
    programs,
    rest_of,
    run,
)
from tests.conftest import Outcome, ServerProcess, eventually, workers_of
from tests.conversations import Conversations
from tests.peer import Peer


@pytest.fixture(scope="module")
def pids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pids")


@pytest.fixture(scope="module")
def shared(driver: str, pids: Path) -> Iterator[Conversations]:
    with commanding(driver, pids) as conversations:
        yield conversations


@pytest.fixture
def server(shared: Conversations, pids: Path) -> Iterator[Conversations]:
    """Return conversations of which nothing must stay behind, and no process."""
    with leaving_nothing(shared, pids):
        yield shared


@pytest.fixture
def peer(server: Conversations) -> Iterator[Peer]:
    with server.peer() as peer:
        yield peer


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have beats be sent, and a peer's end noticed, after a moment."""
    beat_after(0.05, monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands be late after a moment."""
    for module in (awaited, running):
        monkeypatch.setattr(module, "COMMAND_SECONDS", 0.2)


@pytest.mark.parametrize("name", ["missing", "not executable", "a folder", "unknown"])
def test_a_command_that_cannot_be(peer: Peer, name: str, outcome: Outcome) -> None:
    answer = peer.ask(EXEC, 1, name.encode())
    assert run(peer, "nothing")[1]["exit"] == 0
    outcome(f"error {code_of(answer)}, goes on")


def test_a_command_that_a_signal_ends(peer: Peer, outcome: Outcome) -> None:
    _, values = run(peer, "kills itself")
    assert (values["signal"], values["cut"]) == (signal.SIGTERM, False)
    outcome(f"exit {values['exit']}, goes on")


def test_a_command_that_closes_its_output_before_its_end(peer: Peer, outcome: Outcome) -> None:
    output, values = run(peer, "closes early")
    assert (output, values["stderr"]) == (b"out\n", "late\n")
    assert (values["exit"], values["signal"], values["cut"]) == (7, 0, False)
    outcome("exit 7, goes on")


def test_a_command_that_floods_its_output(peer: Peer, outcome: Outcome) -> None:
    output, values = run(peer, "floods")
    assert output == b"0123456789abcde\n" * (COMMAND_BYTES // 16)
    assert (values["cut"], values["signal"]) == (True, signal.SIGKILL)
    assert "its output has" in str(values["stderr"])
    outcome("cut and killed, goes on")


def test_a_command_that_floods_its_standard_error(peer: Peer, outcome: Outcome) -> None:
    output, values = run(peer, "complains")
    assert output == b"done\n"
    assert (values["exit"], values["cut"]) == (0, True)
    assert values["stderr"] == ("trouble\n" * COMPLAINT_BYTES)[:COMPLAINT_BYTES]
    outcome("cut, goes on")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ["never", "never, deaf and dumb"])
def test_a_command_that_ends(peer: Peer, name: str, outcome: Outcome) -> None:
    output, values = run(peer, name)
    assert (output, values["signal"], values["cut"]) == (b"", signal.SIGKILL, True)
    assert "ended after" in str(values["stderr"])
    assert run(peer, "nothing")[1]["exit"] == 0
    outcome("killed, goes on")


@pytest.mark.usefixtures("attentive")
def test_one_command_more_than_may_run(server: Conversations, outcome: Outcome) -> None:
    with server.peer() as first, server.peer() as second, server.peer() as third:
        for each in (first, second):
            each.send(frame(EXEC, 1, b"group"))
            assert first_output(each) == b"begun\n"
        code = code_of(third.ask(EXEC, 1, b"nothing"))
        assert third.ask(ECHO, 2, b"x") == (ECHO + 128, 2, b"x")
        first.reset()
        assert eventually(lambda: is_run(third))
    outcome(f"error {code}, goes on")


def is_run(peer: Peer) -> bool:
    peer.send(frame(EXEC, 1, b"nothing"))
    return end_of(peer)[0] == EXEC + 128


@pytest.mark.usefixtures("attentive")
def test_a_reset_in_mid_command(server: Conversations, pids: Path, outcome: Outcome) -> None:
    with server.peer() as peer:
        peer.send(frame(EXEC, 1, b"group"))
        assert first_output(peer) == b"begun\n"
        peer.reset()
    server.wait_until_over()
    assert noted_in(pids)
    outcome("its group is killed")


@pytest.mark.usefixtures("attentive")
def test_a_close_while_a_command_says_nothing(server: Conversations, outcome: Outcome) -> None:
    with server.peer() as peer:
        peer.send(frame(EXEC, 1, b"never"))
        assert peer.answer() == (DATA, 1, b"")
    outcome("its group is killed")


@pytest.mark.usefixtures("hasty")
def test_a_peer_that_never_reads_what_a_command_writes(
    server: Conversations, pids: Path, outcome: Outcome
) -> None:
    with server.peer(receive_bytes=4096) as peer:
        peer.send(frame(EXEC, 1, b"floods for ever"))
        assert eventually(lambda: bool(noted_in(pids)))
        [pid] = noted_in(pids)
        assert eventually(lambda: not lives(pid))
        assert rest_of(peer)[1]["cut"]
    outcome("killed, goes on")


# Servers.


@pytest.fixture
def running_one(model: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, Peer]]:
    """Return a server that runs a command which has not ended, and the peer that asked for it."""
    server = ServerProcess(model, *workers_of(model, POOL_SIZE), *options_of(programs(tmp_path)))
    try:
        with server.peer() as peer:
            peer.send(frame(EXEC, 1, b"group"))
            assert first_output(peer) == b"begun\n"
            assert eventually(lambda: len(noted_in(tmp_path)) == 2)
            yield server, peer
        assert server.is_gone()
        assert eventually(lambda: not any(lives(pid) for pid in noted_in(tmp_path)))
        assert "Traceback" not in server.complaints()
    finally:
        server.close()


@pytest.mark.usefixtures("model")
def test_a_stop_in_mid_command(running_one: tuple[ServerProcess, Peer], outcome: Outcome) -> None:
    server, peer = running_one
    server.signal(signal.SIGTERM)
    with pytest.raises(ConnectionError):
        peer.rest()
    assert server.exit_code() == 0
    outcome("reset after the grace, its group is killed")


@pytest.mark.usefixtures("model")
def test_a_server_killed_in_mid_command(
    running_one: tuple[ServerProcess, Peer], outcome: Outcome
) -> None:
    server, _ = running_one
    server.signal_all(signal.SIGKILL)
    assert server.exit_code() == -signal.SIGKILL
    outcome("its group is killed")
