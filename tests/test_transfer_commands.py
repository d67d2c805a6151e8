"""The file client's command line: what it says, its exit codes, and what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from clients.transfer.commands import size_in_bytes
from clients.transfer.conversation import TAG
from servers import protocol
from servers.protocol import DATA, END, META, frame
from tests import scripted
from tests.commands import clients_in_process
from tests.conftest import ROOT, StartServer, eventually
from tests.test_transfer import CONTENT, FRAMES, HOST, error, json_frame, until_the_end


def clients(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m clients`."""
    return subprocess.run(
        [sys.executable, "-m", "clients", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_commands_put_list_and_get(start_server: StartServer, tmp_path: Path) -> None:
    root, here = tmp_path / "root", tmp_path / "here"
    root.mkdir()
    here.mkdir()
    (here / "source").write_bytes(CONTENT)
    target = f"{HOST}:{start_server('thread', '--root', str(root)).port}"
    put = clients("put", target, here / "source", "--name", "file")
    assert (put.returncode, put.stderr) == (0, "")
    assert put.stdout.startswith("put file: 768,007 B in ")
    assert hashlib.sha256(CONTENT).hexdigest() in put.stdout
    listed = clients("list", target)
    assert listed.stdout.split() == ["768,007", "file"]
    assert json.loads(clients("list", target, "--json").stdout) == [
        {"name": "file", "size": 768007}
    ]
    got = clients("get", target, "file", cwd=here)
    assert (got.returncode, got.stderr, got.stdout.count("\n")) == (0, "", 1)
    assert (here / "file").read_bytes() == CONTENT
    assert clients("get", target, "file", "-o", here / "copy").returncode == 0
    assert (here / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["get", "nowhere", "file"], 2, "'nowhere' is not of the form HOST:PORT."),
        (["get", "127.0.0.1:1", "file", "-o", "-"], 2, "standard output"),
        (["get", "127.0.0.1:1", ".."], 2, "not a file"),
        (["put", "127.0.0.1:1", "no such file"], 2, "No such file or directory."),
        (["list", "127.0.0.1:1"], 1, "Connection refused."),
        (["get", "127.0.0.1:1"], 2, "name"),
    ],
)
def test_a_command_that_fails_says_why_in_one_sentence(
    arguments: list[str], code: int, sentence: str, tmp_path: Path
) -> None:
    done = clients_in_process(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_refusal_has_exit_code_1_and_leaves_no_file(tmp_path: Path) -> None:
    with scripted.scripted_server(scripted.answers_get(error(8, "Not here."))) as port:
        done = clients_in_process("get", f"{HOST}:{port}", "file", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "clients: The server refused: Not here.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_has_exit_code_3(tmp_path: Path) -> None:
    with scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port:
        # Python ignores SIGXFSZ, and so gets EFBIG.
        done = subprocess.run(
            [
                *("/bin/sh", "-c", 'ulimit -f 100; exec "$@"', "sh"),
                *(sys.executable, "-m", "clients", "get", f"{HOST}:{port}", "file"),
                *("-o", str(tmp_path / "file")),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 3
    assert done.stderr.endswith("file: File too large.\n")
    assert list(tmp_path.iterdir()) == []


ENDS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
STALLING = scripted.answers_get(*FRAMES[:2], then=until_the_end)


def start_get(port: int, folder: Path, *before: str, stderr: int) -> subprocess.Popen[str]:
    """Start to fetch a file into `folder`, and return when a part of it is there."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "clients", "get", f"{HOST}:{port}", "file"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )
    assert eventually(lambda: any(path.stat().st_size for path in folder.iterdir()))
    return process


@pytest.mark.parametrize("number", ENDS)
def test_an_interrupt_leaves_no_file_and_has_the_shells_exit_code_for_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    with (
        scripted.scripted_server(STALLING) as port,
        start_get(port, tmp_path, stderr=subprocess.PIPE) as process,
    ):
        process.send_signal(number)
        process.send_signal(signal.SIGTERM)  # an impatient user
        _, words = process.communicate(timeout=10)
    assert process.returncode in {ENDS[number], ENDS[signal.SIGTERM]}
    assert words == "clients: interrupted; nothing was left half done.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_that_hangs_up_leaves_no_file_and_has_exit_code_129(tmp_path: Path) -> None:
    terminal, side = pty.openpty()
    with (
        scripted.scripted_server(STALLING) as port,
        start_get(port, tmp_path, stderr=side) as process,
    ):
        os.close(side)
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=10) == 129
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    with (
        scripted.scripted_server(STALLING) as port,
        start_get(port, tmp_path, "nohup", stderr=subprocess.PIPE) as process,
    ):
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_sees_a_bar_with_the_rate(tmp_path: Path) -> None:
    drawn = b""
    pieces = [bytes(1024)] * 1000
    terminal, side = pty.openpty()

    def slowly(connection: socket.socket) -> None:
        next(scripted.requests(connection))
        connection.sendall(json_frame(META, name="file", size=1024 * 1000))
        for piece in pieces:
            connection.sendall(frame(DATA, TAG, piece))
            if b"/s" not in drawn:
                time.sleep(0.01)
        connection.sendall(json_frame(END, sha256=hashlib.sha256(b"".join(pieces)).hexdigest()))

    with (
        scripted.scripted_server(slowly) as port,
        subprocess.Popen(
            [sys.executable, "-m", "clients", "get", f"{HOST}:{port}", "file"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=side,
            text=True,
        ) as process,
    ):
        os.close(side)
        try:
            while data := os.read(terminal, 4096):
                drawn += data
        except OSError:  # EIO: the process has ended
            pass
        finally:
            os.close(terminal)
    assert process.returncode == 0
    assert b"file" in drawn
    assert b"/s" in drawn
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_the_load_keeps_its_help_and_names_the_file_commands() -> None:
    shown = clients_in_process("--help").stdout
    assert "--connections" in shown
    assert "get, put and list" in shown
    for command in ("get", "put", "list"):
        assert "Exit codes: 0 done" in clients_in_process(command, "--help").stdout


# Servers that mean harm.

LIST_ANSWER = protocol.LIST | protocol.ANSWER
EVIL = "\x1b]0;owned\x07\r\n\u202e\u2066\x9b2J"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (frame(LIST_ANSWER, TAG, json.dumps([{"name": EVIL, "size": 1}]).encode()), 0),
        (frame(LIST_ANSWER, TAG, b'[{"name": "\\ud800", "size": 1}]'), 1),
        (frame(LIST_ANSWER, TAG, b"[" * 100_000), 1),
        (frame(LIST_ANSWER, TAG, b'[{"name": "a", "size": 1%s}]' % (b"0" * 3000)), 1),
        (error(12, EVIL * 500_000), 1),
    ],
    ids=["escapes", "a surrogate", "deep", "a huge number", "a huge refusal"],
)
def test_nothing_that_a_server_says_reaches_the_terminal_raw(answer: bytes, code: int) -> None:
    with scripted.scripted_server(scripted.answers_get(answer)) as port:
        done = clients_in_process("list", f"{HOST}:{port}")
    said = done.stdout + done.stderr
    assert done.returncode == code
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert len(said) < 2000


def test_a_standard_output_that_cannot_be_written_to_is_told() -> None:
    answer = frame(LIST_ANSWER, TAG, b"[]")
    with (
        scripted.scripted_server(scripted.answers_get(answer)) as port,
        Path("/dev/full").open("w") as full,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "clients", "list", f"{HOST}:{port}", "--json"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "clients: Standard output: No space left on device.\n"


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [(">&-", 3, "clients: Standard output is closed.\n"), ("<&- 2>&-", 0, ""), (">&- 2>&-", 3, "")],
)
def test_standard_descriptors_that_are_closed_do_no_harm(
    closed: str, code: int, said: str, tmp_path: Path
) -> None:
    with scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port:
        done = subprocess.run(
            [
                "/bin/sh",
                "-c",
                f'exec "$@" {closed}',
                "sh",
                sys.executable,
                "-m",
                "clients",
                "get",
                f"{HOST}:{port}",
                "file",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (code, said)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# The bounds.


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1k", 1000),
        ("10MB", 10**7),
        ("10MiB", 10 * 2**20),
        ("64 GiB", 64 * 2**30),
        ("1ti", 2**40),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5", "MiB", "10 miles", "1i", "9" * 20, "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no size"):
        size_in_bytes(text)


def test_the_bounds_are_options(tmp_path: Path) -> None:
    with scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port:
        done = clients_in_process(
            "get", f"{HOST}:{port}", "file", "--max-size", "700kB", cwd=tmp_path
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "has 768,007 bytes, and at most 700,000" in done.stderr
    with scripted.scripted_server(STALLING) as port:
        done = clients_in_process(
            "get", f"{HOST}:{port}", "file", "--timeout", "0.05", cwd=tmp_path
        )
    assert (done.returncode, done.stderr) == (
        1,
        "clients: The server was not done within 0.05 seconds.\n",
    )
    assert list(tmp_path.iterdir()) == []
