"""EXEC: what a command's answer is, with every driver. What goes wrong is in test_faults_commands.

How much is said in the last frame, and what a list of commands may be, is pure logic: in here, too.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from servers.command import COMMAND_BYTES, COMPLAINT_BYTES, Command
from servers.commands import COMMANDS_PER_CPU, Commands, by_name, commands_of
from servers.protocol import DATA, ECHO, ERROR, EXEC, Connection, frame
from servers.service import Session
from servers.steps import Run
from tests.abuse import code_of
from tests.commanded import beat_after, commanding, leaving_nothing, rest_of, run
from tests.conversations import Conversations
from tests.peer import Peer

NOTHING = sha256().hexdigest()


@pytest.fixture(scope="module")
def pids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pids")


@pytest.fixture(scope="module")
def shared(driver: str, pids: Path) -> Iterator[Conversations]:
    with commanding(driver, pids) as conversations:
        yield conversations


@pytest.fixture
def peer(shared: Conversations, pids: Path) -> Iterator[Peer]:
    with leaving_nothing(shared, pids), shared.peer() as peer:
        yield peer


def test_output_and_the_requests_around_it_come_in_order(peer: Peer) -> None:
    peer.send(frame(ECHO, 1, b"x") + frame(EXEC, 1, b"hello") + frame(EXEC, 2, b"fails"))
    peer.send(frame(EXEC, 3, b"nothing") + frame(ECHO, 4, b"y"))
    peer.end()
    assert peer.answer() == (ECHO + 128, 1, b"x")
    output, values = rest_of(peer, 1)
    assert (output, values["exit"]) == (b"hello world\n", 0)
    output, values = rest_of(peer, 2)
    assert output == b"out\n"
    assert (values["exit"], values["signal"], values["stderr"]) == (7, 0, "trouble\n")
    answer = {"exit": 0, "signal": 0, "stderr": "", "cut": False, "sha256": NOTHING}
    assert rest_of(peer, 3) == (b"", answer)
    assert peer.answer() == (ECHO + 128, 4, b"y")
    assert peer.is_at_end()


def test_a_command_gets_no_input_a_clean_environment_and_no_descriptor_of_the_server(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the server")
    assert run(peer, "input")[0] == b""
    clean = [b"LC_ALL=C.UTF-8", b"PATH=/usr/bin:/bin", b"PWD=/", b"/"]
    assert run(peer, "environment")[0].split() == clean
    # Its standard ones, and the leash by which the server's end is noticed.
    assert len(run(peer, "descriptors")[0].split()) == 4


def test_all_the_output_that_may_be_is_sent_whole(peer: Peer) -> None:
    output, values = run(peer, "most")
    assert output == bytes(COMMAND_BYTES)
    assert (values["exit"], values["cut"], values["stderr"]) == (0, False, "")


def test_what_a_command_leaves_running_ends_with_it(peer: Peer) -> None:
    assert run(peer, "leaves one")[0] == b"left\n"


def test_what_escapes_from_its_group_holds_no_answer_up(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat_after(0.05, monkeypatch)
    output, values = run(peer, "lets one escape")
    assert (output, values["exit"], values["cut"]) == (b"left\n", 0, False)


# Without any driver.


def values_of(command: Command) -> dict[str, object]:
    [(kind, _, body)] = Connection().receive(command.last_frame())
    assert kind == EXEC + 128
    values: dict[str, object] = json.loads(body)
    return values


def test_a_peer_gets_no_argument_and_no_shell_in() -> None:
    commands = Commands({"list": ("/bin/ls", "-l")}, 0, 2**24)
    step = next(commands.answer(1, b"list"))
    assert isinstance(step, Run)
    assert step.argv == ("/bin/ls", "-l")
    for name in (b"list -a", b"list; id", b"list\n", b"/bin/ls", b"LIST", b"$(list)", b""):
        [answer] = Session(commands=commands).receive(frame(EXEC, 1, name))
        assert isinstance(answer, bytes)
        assert code_of(Connection().receive(answer)[0]) == 19, name


def test_a_server_without_commands_and_a_name_that_is_not_utf_8() -> None:
    for commands, code in ((None, 18), (Commands({}, 0, 2**24), 4)):
        [answer] = Session(commands=commands).receive(frame(EXEC, 1, b"\xff"))
        assert isinstance(answer, bytes)
        assert code_of(Connection().receive(answer)[0]) == code


def test_words_that_are_not_utf_8_are_told_as_far_as_they_can_be() -> None:
    command = Command(1, 2**24)
    command.complaint(b"caf\xe9\n")
    assert values_of(command)["stderr"] == "caf\ufffd\n"


@pytest.mark.parametrize("limit", [2**24, 4096, 300, 256])
def test_the_last_frame_obeys_the_limit_of_a_body(limit: int) -> None:
    command = Command(1, limit)
    for _ in range(3):
        command.complaint(b"\x01" * COMPLAINT_BYTES)
    command.ended(-15)
    command.late()
    assert len(command.last_frame()) - 8 <= limit
    assert values_of(command)["cut"] is True


def test_only_what_goes_beyond_the_bound_is_cut() -> None:
    command = Command(1, 2**24)
    assert command.output(bytes(COMMAND_BYTES)) == frame(DATA, 1, bytes(COMMAND_BYTES))
    assert values_of(command)["cut"] is False
    assert command.output(b"x") == frame(DATA, 1)
    assert (command.is_full, values_of(command)["cut"]) == (True, True)
    assert values_of(command)["sha256"] == sha256(bytes(COMMAND_BYTES)).hexdigest()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, 19), (errno.EACCES, 19), (errno.EAGAIN, 15)]
)
def test_whose_fault_it_is_that_a_command_cannot_start(number: int, code: int) -> None:
    command = Command(9, 2**24)
    command.cannot_start(OSError(number, os.strerror(number), "/a/secret/path"))
    [answer] = Connection().receive(command.last_frame())
    assert answer[:2] == (ERROR, 9)
    assert code_of(answer) == code
    assert b"secret" not in answer[2]


def test_a_place_is_free_again_when_a_session_ends_in_the_middle() -> None:
    commands = Commands({"any": ("/bin/true",)}, 1, 2**24)
    first, second = Session(commands=commands), Session(commands=commands)
    assert isinstance(next(iter(first.receive(frame(EXEC, 1, b"any")))), Run)
    refused = next(iter(second.receive(frame(EXEC, 1, b"any"))))
    assert isinstance(refused, bytes)
    assert code_of(Connection().receive(refused)[0]) == 15
    first.close()
    assert isinstance(next(iter(second.receive(frame(EXEC, 1, b"any")))), Run)
    second.close()


def test_a_place_is_free_before_the_peer_knows_that_its_command_has_ended() -> None:
    commands = Commands({"any": ("/bin/true",)}, 1, 2**24)
    first, second = commands.answer(1, b"any"), commands.answer(1, b"any")
    assert isinstance(next(first), Run)
    assert isinstance(next(first), bytes)
    assert isinstance(next(second), Run)


def test_as_many_run_at_a_time_as_the_cpus_say_unless_told() -> None:
    commands = commands_of(["any=/bin/true"], None, 2**24)
    most = COMMANDS_PER_CPU * (os.cpu_count() or 1)
    answers = [commands.answer(1, b"any") for _ in range(most + 1)]
    assert [isinstance(next(each), Run) for each in answers] == [True] * most + [False]


def test_programs_by_name() -> None:
    assert by_name(["a=/bin/true", "b c=/bin/echo,-n,x=y,"]) == {
        "a": ("/bin/true",),
        "b c": ("/bin/echo", "-n", "x=y", ""),
    }


@pytest.mark.parametrize(
    "values",
    [["a"], ["=/bin/true"], ["a="], ["a=true"], ["a=/b", "a=/c"], ["a\n=/b"], [f"{'a' * 256}=/b"]],
)
def test_what_is_no_list_of_programs(values: list[str]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        by_name(values)
