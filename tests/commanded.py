"""Conversations with commands, and a look whether any process of theirs stays behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from bench.measure import meter
from servers.command import COMMAND_BYTES, PIECE_BYTES
from servers.commands import Commands
from servers.drivers import awaited, running, yielding
from servers.protocol import DATA, DEFAULT_LIMIT, EXEC, Frame, frame
from tests.conftest import eventually
from tests.conversations import Conversations, conversing, unharmed
from tests.peer import Peer

AT_ONCE = 2


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def programs(pids: Path) -> dict[str, tuple[str, ...]]:
    """Return what is run; those that may go on note their process ids in a folder."""
    note = f"read pid rest < /proc/self/stat; : > {pids}/$pid;"  # also that of a subshell
    return {
        "nothing": ("/bin/true",),
        "hello": ("/bin/echo", "hello", "world"),
        "fails": shell("echo out; echo trouble >&2; exit 7"),
        "kills itself": shell("kill -TERM $$"),
        "closes early": shell("echo out; exec >&-; sleep 0.05; echo late >&2; exec 2>&-; exit 7"),
        "environment": shell("env | sort; pwd"),
        "input": ("/bin/cat",),
        "descriptors": shell("ls /proc/$$/fd"),
        "floods": ("/usr/bin/yes", "0123456789abcde"),
        "complains": shell("yes trouble | head -c 100000 >&2; echo done"),
        "most": ("/usr/bin/head", "-c", str(COMMAND_BYTES), "/dev/zero"),
        "never": shell(f"{note} sleep 1000"),
        "never, deaf and dumb": shell(f"trap '' TERM HUP; {note} exec >&- 2>&-; sleep 1000"),
        "leaves one": shell(f"({note} sleep 1000) & echo left"),
        "lets one escape": shell("setsid sleep 2 & echo left"),
        "group": shell(f"({note} sleep 1000) & {note} echo begun; wait"),
        "floods for ever": shell(f"{note} while :; do echo 0123456789; done"),
        "missing": ("/nowhere/at/all",),
        "not executable": ("/etc/passwd",),
        "a folder": ("/proc",),
    }


def options_of(programs: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the options with which a server has them for commands."""
    return [f"--exec={name}={','.join(argv)}" for name, argv in programs.items()]


@contextmanager
def commanding(driver: str, pids: Path) -> Iterator[Conversations]:
    """Hold conversations in which commands can be run."""
    commands = Commands(programs(pids), AT_ONCE, DEFAULT_LIMIT)
    with conversing(driver, commands=commands) as conversations:
        yield conversations


@contextmanager
def leaving_nothing(conversations: Conversations, pids: Path) -> Iterator[None]:
    """Look whether no descriptor, no process and no zombie stays behind."""
    before = children()  # of tests that came earlier: multiprocessing's tracker of resources
    with unharmed(conversations):
        yield
    assert eventually(lambda: not any(lives(pid) for pid in noted_in(pids)))
    for path in pids.iterdir():
        path.unlink()
    assert children() - before == set()


def children() -> set[int]:
    """Return the process ids of this process's own children, zombies among them."""
    us = os.getpid()
    return {each.pid for each in meter.tree(us) if each.parent == us}


def beat_after(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a peer's end be noticed, and a command's, so soon."""
    for module in (awaited, running):
        monkeypatch.setattr(module, "BEAT_SECONDS", seconds)
    monkeypatch.setattr(yielding, "LOOK_SECONDS", seconds)


def noted_in(pids: Path) -> list[int]:
    """Return the process ids of the commands that have said theirs."""
    return [int(path.name) for path in pids.iterdir()]


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie: whose child it was may be another's affair."""
    return pid in meter.running(pid)


def run(peer: Peer, name: str, tag: int = 1) -> tuple[bytes, dict[str, object]]:
    """Run a command, and return its output and the last frame's values."""
    peer.send(frame(EXEC, tag, name.encode()))
    return rest_of(peer, tag)


def first_output(peer: Peer) -> bytes:
    """Return what a command writes first, after any number of beats."""
    while True:
        kind, _, body = peer.answer()
        assert kind == DATA
        if body:
            return body


def end_of(peer: Peer) -> Frame:
    """Return the frame that ends an answer."""
    while True:
        if (answer := peer.answer())[0] != DATA:
            return answer


def rest_of(peer: Peer, tag: int = 1) -> tuple[bytes, dict[str, object]]:
    """Return the output that is still to come, and the last frame's values."""
    output = b""
    while True:
        kind, got, body = peer.answer()
        assert got == tag
        if kind != DATA:
            break
        assert len(body) <= PIECE_BYTES
        output += body
    assert kind == EXEC + 128
    values = json.loads(body)
    assert list(values) == ["exit", "signal", "stderr", "cut", "sha256"]
    assert values["sha256"] == sha256(output).hexdigest()
    return output, values
