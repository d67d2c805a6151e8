"""`python -m clients exec`: the output of a server's command, and its exit code."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from clients.engine.exchange import COMMAND, Exchange
from clients.transfer.errors import PeerError, UserError
from clients.transfer.execution import FAILED, Ended, run
from reports.load import Load
from servers.protocol import DATA, ECHO, EXEC, frame
from tests.commanded import options_of, programs
from tests.conftest import ROOT, ServerProcess, StartServer
from tests.scripted import Script, answers_get, json_frame, scripted_server

OBEYED = ("/usr/bin/printf", r"\033[2J\tred\n")
TAG = 1
DIGEST = sha256(b"out").hexdigest()
GOOD: dict[str, object] = {"exit": 0, "signal": 0, "stderr": "", "cut": False, "sha256": DIGEST}


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> ServerProcess:
    return start_server("serial", *options_of({**programs(Path(os.devnull)), "obeyed": OBEYED}))


def client(*arguments: str, port: int, stdout: int = subprocess.PIPE) -> tuple[int, bytes, bytes]:
    """Run the client, and return its exit code, output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "clients", "exec", f"127.0.0.1:{port}", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_output_standard_error_and_exit_code_are_the_command_s(server: ServerProcess) -> None:
    assert client("fails", port=server.port) == (7, b"out\n", b"trouble\n")
    assert client("kills itself", port=server.port) == (143, b"", b"")
    assert client("obeyed", port=server.port)[1] == b"\033[2J\tred\n"


def test_a_command_that_does_not_run_is_one_sentence(server: ServerProcess) -> None:
    code, output, said = client("unknown", port=server.port)
    assert (code, output) == (FAILED, b"")
    assert said == b"clients: The server refused: There is no command of this name.\n"


def test_a_terminal_is_given_nothing_to_obey(server: ServerProcess) -> None:
    ours, theirs = pty.openpty()
    assert client("obeyed", port=server.port, stdout=theirs)[0] == 0
    shown = os.read(ours, 100)
    os.close(theirs)
    os.close(ours)
    assert shown.strip().split() == [rb"\x1b[2J", b"red"]


def outcome_of(script: Script, name: str = "any") -> tuple[bytes, Ended]:
    output: list[bytes] = []
    with scripted_server(script) as port:
        ended = run("127.0.0.1", port, name, output.append)
    return b"".join(output), ended


def test_output_that_comes_in_pieces_and_beats() -> None:
    pieces = [frame(DATA, TAG, piece) for piece in (b"", b"o", b"", b"ut")]
    script = answers_get(*pieces, json_frame(EXEC | 128, TAG, {**GOOD, "exit": 3}))
    assert outcome_of(script) == (b"out", Ended(3, 0, "", False))


@pytest.mark.parametrize(
    "changed",
    [
        {"exit": 256},
        {"exit": -1},
        {"exit": True},
        {"exit": "0"},
        {"signal": None},
        {"stderr": 7},
        {"sha256": "0" * 64},
    ],
    ids=str,
)
def test_what_a_server_cannot_mean(changed: dict[str, object]) -> None:
    last = json_frame(EXEC | 128, TAG, {**GOOD, **changed})
    with pytest.raises(PeerError):
        outcome_of(answers_get(frame(DATA, TAG, b"out"), last))


@pytest.mark.parametrize(
    "answer",
    [b"", frame(DATA, TAG, b"out"), frame(ECHO | 128, TAG), frame(EXEC | 128, TAG, b"{")],
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    with pytest.raises(PeerError):
        outcome_of(answers_get(answer))


def test_a_name_that_cannot_travel() -> None:
    with pytest.raises(UserError):
        run("127.0.0.1", 1, "\udcff", lambda _: None)


def test_what_a_load_expects_is_what_a_server_answers(server: ServerProcess) -> None:
    exchange = Exchange.of(Load(connections=1, kind="EXEC"))
    assert COMMAND in programs(Path(os.devnull))
    with server.peer() as peer:
        for sequence in range(3):
            peer.send(exchange.request.bytes_of(0, sequence))
        peer.end()
        assert peer.rest() == 3 * exchange.answer.bytes_of(0, 0)
