"""What every model must do with files; the frames are a driver's (test_conversations_files.py)."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from bench.measure import meter
from servers.protocol import DATA_BYTES, ECHO, GET, PUT, frame
from tests.conftest import (
    SERVER_PYTHON,
    SEVERAL_AT_ONCE,
    ServerProcess,
    StartServer,
    eventually,
    workers_of,
)
from tests.peer import Peer
from tests.rows import ONE_OF_EACH_FAMILY, ONE_OF_EACH_FILE
from tests.transfers import (
    SIZES,
    Download,
    accepted,
    content,
    download,
    end,
    error_of,
    meta,
    pieces,
    upload,
)

MEBIBYTE = 2**20
LARGE = 10 * MEBIBYTE
"""More than the buffers of a connection take while nobody reads."""
STILL = 12
"""Readings at 5 ms that must agree for a server to be taken as waiting."""
DIGEST = sha256(b"new").hexdigest()
SEVERAL = [name for name in ONE_OF_EACH_FAMILY if name in SEVERAL_AT_ONCE]

UNNAMED = sys.executable == SERVER_PYTHON or not subprocess.call(
    [SERVER_PYTHON, "-c", "import os; os.O_TMPFILE"]
)


def start(
    start_server: Callable[..., ServerProcess], model: str, root: Path, *options: str
) -> ServerProcess:
    return start_server(model, "--root", str(root), *workers_of(model, 3), *options)


@pytest.fixture(scope="module", params=ONE_OF_EACH_FAMILY)
def shared(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServerProcess, Path]]:
    """One server of each model, over a root of its own."""
    root = tmp_path_factory.mktemp("root")
    server = start(start_server, request.param, root)
    yield server, root
    server.signal(signal.SIGTERM)
    server.exit_code()


@pytest.fixture
def root(shared: tuple[ServerProcess, Path]) -> Path:
    """Return the root, empty."""
    for path in shared[1].iterdir():
        path.unlink()
    return shared[1]


@pytest.fixture
def server(shared: tuple[ServerProcess, Path], root: Path) -> Iterator[ServerProcess]:
    """Return the shared server; afterwards it serves on, and has let go of every file."""
    server = shared[0]
    yield server
    with server.peer() as peer:
        assert peer.ask(ECHO, 1, b"still there?") == (ECHO + 128, 1, b"still there?")
    assert eventually(lambda: open_files(server, root) == [])


@pytest.fixture
def peer(server: ServerProcess) -> Iterator[Peer]:
    with server.peer() as peer:
        yield peer


def open_files(server: ServerProcess, root: Path) -> list[str]:
    """Return what a server's processes have open under the root, deleted or not."""
    found = []
    for pid in meter.running(server.pid):
        with suppress(FileNotFoundError):  # it has ended
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # it was closed since it was listed
                    found.append(str(descriptor.readlink()))
    return [target for target in found if target.startswith(f"{root}/")]


def names_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def get(peer: Peer, name: str) -> Download:
    peer.send(frame(GET, 1, name.encode()))
    return download(peer.answer)


# There and back.


@pytest.mark.parametrize("shared", ONE_OF_EACH_FILE, indirect=True)
def test_files_of_all_sizes_there_and_back(peer: Peer, root: Path) -> None:
    for size in SIZES:
        data = content(size)
        peer.send(upload("put", data))
        assert peer.answer() == accepted("put", data)
        assert (root / "put").read_bytes() == data
        assert get(peer, "put") == (size, data, "END")


# Refusals.


def test_a_full_disk_is_told_and_leaves_the_old_file(
    server: ServerProcess, root: Path, peer: Peer
) -> None:
    data = content(2 * MEBIBYTE)
    (root / "x").write_bytes(b"old")
    peer.ask(ECHO)  # whoever serves this connection has begun
    with limited_files(server, MEBIBYTE):
        peer.send(upload("x", data))
        assert error_of(peer.answer()) == 12
        assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")
    assert names_in(root) == ["x"]
    assert (root / "x").read_bytes() == b"old"
    peer.send(upload("x", data))
    assert peer.answer() == accepted("x", data)


def limited_files(server: ServerProcess, size: int) -> ExitStack:
    """Let no file of a server grow beyond `size`: the next best thing to a full disk."""
    stack = ExitStack()
    for pid in meter.running(server.pid):
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
        stack.callback(resource.prlimit, pid, resource.RLIMIT_FSIZE, (soft, hard))
    return stack


# How much, and how many.


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_an_upload_of_more_than_there_may_be_is_refused_at_once(
    start_server: StartServer, model: str, tmp_path: Path
) -> None:
    server = start(start_server, model, tmp_path, "--max-upload", "1000")
    with server.peer() as peer:
        peer.send(frame(PUT, 1, b"x") + meta("x", 1001))
        assert error_of(peer.answer()) == 5
        peer.send(b"".join(pieces(content(1001))) + end(DIGEST) + upload("x", content(1000), 2))
        assert peer.answer() == accepted("x", content(1000), 2)
    assert names_in(tmp_path) == ["x"]


@pytest.mark.parametrize("model", SEVERAL)
def test_uploads_are_counted_over_all_processes_and_the_killed_give_their_places_back(
    start_server: StartServer, model: str, tmp_path: Path
) -> None:
    server = start(start_server, model, tmp_path, "--max-uploads-at-once", "2")
    begun = frame(PUT, 1, b"x") + meta("x", 3)
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(3)]
        for peer in peers:
            peer.ask(ECHO)
        for peer in peers[:2]:
            peer.send(begun)
        assert eventually(lambda: len(open_files(server, tmp_path)) == 2)
        assert error_of(peers[2].ask(PUT, 1, b"y")) == 5
        peers[2].send(end(DIGEST))
        assert peers[2].ask(ECHO, 2, b"go on") == (ECHO + 128, 2, b"go on")
        # Whoever serves the others goes with them: a process of their own, if they have one.
        for pid in server.children():
            with suppress(ProcessLookupError):  # a pool ends its others when one has died
                os.kill(pid, signal.SIGKILL)
        for peer in peers[:2]:
            peer.reset()
        assert eventually(lambda: open_files(server, tmp_path) == [])
        peers = [stack.enter_context(server.peer()) for _ in range(2)]
        for peer in peers:
            peer.send(begun)
        assert eventually(lambda: len(open_files(server, tmp_path)) == 2)
        for peer in peers:
            peer.send(b"".join(pieces(b"new")) + end(DIGEST))
            assert peer.answer() == accepted("x", b"new")


# Peers that go.


# Peers that do not read, and files that change meanwhile.


def bytes_read(server: ServerProcess) -> int:
    """Return what a server's processes have read or had the kernel send."""
    total = 0
    for pid in meter.running(server.pid):
        with suppress(FileNotFoundError):
            total += int(Path(f"/proc/{pid}/io").read_text().split()[1])
    return total


def stall(server: ServerProcess, peer: Peer, name: str) -> int:
    """Ask for a file, read nothing until the server waits, and return what it has read."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    before = bytes_read(server)
    peer.send(frame(GET, 1, name.encode()))
    readings: list[int] = []

    def is_still() -> bool:
        """Say whether a row of readings has shown no difference."""
        readings.append(bytes_read(server))
        return readings[-1] > before and readings[-STILL:] == [readings[-1]] * STILL

    assert eventually(is_still)
    return readings[-1] - before


def remember(peer: Peer, name: str) -> None:
    assert get(peer, name).ending == "END"


def test_a_peer_that_stops_reading_stops_the_reading_of_the_file(
    server: ServerProcess, root: Path, peer: Peer
) -> None:
    data = content(LARGE)
    (root / "file").write_bytes(data)
    assert stall(server, peer, "file") < LARGE * 3 // 4
    if server.model in SEVERAL_AT_ONCE:
        with server.peer() as another:
            assert another.ask(ECHO, 1, b"me too") == (ECHO + 128, 1, b"me too")
    assert download(peer.answer) == (LARGE, data, "END")


# Several at once.


@pytest.mark.parametrize("shared", SEVERAL, indirect=True)
def test_readers_see_the_old_file_or_the_new_and_never_a_part(
    server: ServerProcess, root: Path, peer: Peer
) -> None:
    contents = [bytes([letter]) * (2 * DATA_BYTES + 7) for letter in b"ab"]
    (root / "file").write_bytes(contents[0])
    seen: list[Download] = []
    done = threading.Event()

    def read() -> None:
        with server.peer() as reader:
            while not done.is_set():
                seen.append(get(reader, "file"))
            seen.append(get(reader, "file"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(20):
            peer.send(upload("file", contents[(number + 1) % 2]))
            assert peer.answer()[0] == PUT + 128
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert {got.ending for got in seen} == {"END"}
    assert {got.data for got in seen} <= set(contents)
    assert names_in(root) == ["file"]


@pytest.mark.parametrize("shared", SEVERAL, indirect=True)
def test_of_two_uploads_of_one_name_one_whole_file_wins(
    server: ServerProcess, root: Path, peer: Peer
) -> None:
    contents = [bytes([letter]) * (2 * DATA_BYTES + 7) for letter in b"ab"]
    with server.peer() as another:
        peers = (peer, another)
        uploads = [upload("file", data) for data in contents]
        for start in range(0, len(uploads[0]), 100_000):
            for each, frames in zip(peers, uploads, strict=True):
                each.send(frames[start : start + 100_000])
        for each, data in zip(peers, contents, strict=True):
            assert each.answer() == accepted("file", data)
    assert (root / "file").read_bytes() in contents
    assert names_in(root) == ["file"]


# The end of serving.


@pytest.fixture(params=ONE_OF_EACH_FAMILY)
def own(request: pytest.FixtureRequest, start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """Return a server for one test, which ends it."""
    return start(start_server, request.param, tmp_path)


def test_a_stop_in_mid_file_does_not_make_it_look_whole(own: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content(LARGE))
    with own.peer() as peer:
        remember(peer, "file")
        stall(own, peer, "file")
        own.signal(signal.SIGTERM)
        assert own.exit_code() == 0
        assert own.is_gone()
        got = download(peer.answer)
    assert got.ending == "cut off"
    assert content(LARGE).startswith(got.data)


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_a_download_under_way_ends_within_a_long_grace(
    start_server: StartServer, model: str, tmp_path: Path
) -> None:
    data = content(LARGE)
    (tmp_path / "file").write_bytes(data)
    server = start(start_server, model, tmp_path, "--grace", "60")
    with server.peer() as peer:
        stall(server, peer, "file")
        server.signal(signal.SIGTERM)
        assert download(peer.answer) == (LARGE, data, "END")
        assert server.exit_code() == 0


def test_a_stop_in_mid_upload_leaves_no_trace(own: ServerProcess, tmp_path: Path) -> None:
    with own.peer() as peer:
        peer.send(frame(PUT, 1, b"x") + meta("x", MEBIBYTE) + next(pieces(content(MEBIBYTE))))
        assert eventually(lambda: open_files(own, tmp_path) != [])
        own.signal(signal.SIGTERM)
        assert peer.is_at_end()
        assert own.exit_code() == 0
    assert names_in(tmp_path) == []


@pytest.mark.skipif(not UNNAMED, reason="the servers' Python knows no files without a name")
def test_a_killed_server_leaves_no_trace_of_an_upload(own: ServerProcess, tmp_path: Path) -> None:
    with own.peer() as peer:
        peer.send(frame(PUT, 1, b"x") + meta("x", MEBIBYTE) + next(pieces(content(MEBIBYTE))))
        assert eventually(lambda: open_files(own, tmp_path) != [])
        assert own.process.stdin
        own.process.stdin.close()
        assert own.is_gone()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_a_server_killed_under_a_storm_of_uploads_leaves_nothing_once_another_has_started(
    model: str, tmp_path: Path
) -> None:
    """A neighbour's file is spared, and a file that is replaced is the old one or a new one."""
    left, neighbours = ".threadmill-0123456789abcdef", ".threadmill-fedcba9876543210"
    contents = [bytes([letter]) * 1000 for letter in b"abc"]
    (tmp_path / "x").write_bytes(contents[0])
    (tmp_path / left).touch()
    with (tmp_path / neighbours).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with closing(start(ServerProcess, model, tmp_path)) as server, server.peer() as peer:
            assert names_in(tmp_path) == [neighbours, "x"]
            peer.send(b"".join(upload("x", data) for data in contents * 20))
            peer.answers(5)
            server.signal_all(signal.SIGKILL)
            assert server.is_gone()
        assert (tmp_path / "x").read_bytes() in contents
        with closing(start(ServerProcess, model, tmp_path)):
            assert names_in(tmp_path) == [neighbours, "x"]
