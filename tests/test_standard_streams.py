"""A server's standard streams: closed, full, or read by nobody, they hold up and end no server."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from servers.catalog import find
from servers.protocol import ECHO, frame
from tests.abuse import code_of, is_served, rested
from tests.conftest import (
    DEADLINE_SECONDS,
    ROOT,
    SEVERAL_AT_ONCE,
    ServerProcess,
    close_all,
    environment_of,
    eventually,
    workers_of,
)
from tests.peer import Peer
from tests.rows import ONE_OF_EACH_FAMILY, ONE_OF_EACH_FILE

LARGE = 12 * 2**20
"""More than the buffers of a connection take while nobody reads."""
PATIENCE = ("--idle-timeout", "0.3", "--write-timeout", "0.3")
NULL = Path(os.devnull).stat()


# Standard error.


@contextmanager
def a_full_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    with os.fdopen(reading), os.fdopen(writing, "wb"):
        yield writing


@contextmanager
def a_pipe_without_a_reader() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb"):
        yield writing


@contextmanager
def a_full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@pytest.mark.parametrize("stderr", [a_full_pipe, a_pipe_without_a_reader, a_full_disk])
@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_a_word_that_cannot_be_said_changes_nothing(model: str, stderr: object) -> None:
    assert callable(stderr)
    limits = ("--max-connections", "2", *PATIENCE, *workers_of(model, 2))
    with stderr() as descriptor:
        server = ServerProcess(model, *limits, stderr=descriptor)
        try:
            assert_peers_fare_as_ever(server)
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
            assert server.is_gone()
        finally:
            server.close()


def assert_peers_fare_as_ever(server: ServerProcess) -> None:
    with server.peer() as idle:
        assert code_of(idle.answer()) == 16
        assert idle.is_at_end()
    with server.peer(receive_bytes=4096) as stuck:
        # The request is read whole, so that to close without more would be a clean end.
        stuck.send(frame(ECHO, 1, bytes(LARGE)))
        assert is_reset(stuck)
    if find(server.model).when_full == "busy":
        assert eventually(lambda: is_served(server))
        rested(server)  # the last client is forgotten
        with server.peer() as first, server.peer() as second:
            assert first.ask(ECHO) == second.ask(ECHO) == (ECHO + 128, 0, b"")
            with server.peer() as third:
                assert code_of(third.answer()) == 15
    assert eventually(lambda: is_served(server))


@pytest.mark.parametrize("model", [name for name in ONE_OF_EACH_FAMILY if name in SEVERAL_AT_ONCE])
def test_lines_are_bounded_in_a_second_and_none_is_forgotten(model: str) -> None:
    peers = 100
    server = ServerProcess(model, *PATIENCE, *workers_of(model, peers))
    try:
        with ExitStack() as stack:
            for peer in [stack.enter_context(server.peer()) for _ in range(peers)]:
                assert code_of(peer.answer()) == 16
                assert peer.is_at_end()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        *lines, last = server.complaints().splitlines()
        assert f"{peers} connections closed" in last
        said = [line for line in lines if "sent no whole frame" in line]
        others = [int(found[1]) for line in lines if (found := re.search(r"and (\d+) more", line))]
        assert len(said) + sum(others) == peers
        assert others
    finally:
        server.close()


def is_reset(peer: Peer) -> bool:
    """Wait for a reset, and read nothing meanwhile."""
    poll = select.poll()
    poll.register(peer.socket, 0)
    return bool(poll.poll(DEADLINE_SECONDS * 1000))


# Descriptors.


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_descriptors_closed_at_the_start_are_no_connection(model: str) -> None:
    limits = ("--max-connections", "1", "--idle-timeout", "0.3", *workers_of(model, 1))
    server = ServerProcess(model, *limits, by_hand=True, closed=(0, 2))
    try:
        for number in (0, 2):
            assert Path(f"/proc/{server.pid}/fd/{number}").stat().st_rdev == NULL.st_rdev
        with server.peer() as first, server.peer() as second:
            assert code_of(first.answer()) == 16  # and nothing before it
            assert code_of(second.answer()) in {15, 16}
        assert eventually(lambda: is_served(server))
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
    finally:
        server.close()


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_a_server_without_any_standard_stream_serves(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-S", "-m", "servers", model, "--port", str(port)],
        cwd=ROOT,
        env=environment_of(model),
        preexec_fn=lambda: close_all((0, 1, 2)),
        start_new_session=True,
    ) as process:
        try:
            assert eventually(lambda: answers(port))
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    with suppress(ConnectionRefusedError), Peer(port) as peer:
        return peer.ask(ECHO, 1, b"there?") == (ECHO + 128, 1, b"there?")
    return False


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_a_stop_needs_no_descriptor(model: str) -> None:
    server = ServerProcess(model, "--idle-timeout", "0.3", *workers_of(model, 2))
    try:
        with server.peer() as idle:
            assert code_of(idle.answer()) == 16
        in_use = {int(each.name) for each in Path(f"/proc/{server.pid}/fd").iterdir()}
        free = next(number for number in count() if number not in in_use)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (free, free))
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "Traceback" not in server.complaints()
        assert "1 connections closed" in server.complaints().splitlines()[-1]
    finally:
        server.close()


# Standard output.


@pytest.mark.parametrize(
    "words", [*([name] for name in ONE_OF_EACH_FILE), ["--help"]], ids=" ".join
)
def test_a_server_that_nobody_hears_ends_with_a_sentence(words: list[str]) -> None:
    with a_pipe_without_a_reader() as stdout:
        done = subprocess.run(
            [sys.executable, "-S", "-m", "servers", *words],
            cwd=ROOT,
            env=None if words == ["--help"] else environment_of(*words),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert done.stderr == "Cannot write to standard output: Broken pipe.\n"
    assert done.returncode == 1
