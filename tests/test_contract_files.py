"""What every model must do with files, over real sockets."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path

import pytest

from bench.measure import meter
from servers.catalog import MODELS
from servers.drivers import blocking, streams, yielding
from servers.drivers.scheduler import Scheduler
from servers.protocol import DATA, DATA_BYTES, ECHO, GET, HEADER, LIST, META, PUT, frame
from servers.service import Service, Session
from servers.steps import SendFile
from tests.conftest import ServerProcess, StartServer, eventually
from tests.peer import Peer
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

NAMES = [model.name for model in MODELS]
SEVERAL_AT_ONCE = [name for name in NAMES if name != "serial"]
MEBIBYTE = 2**20
LARGE = 10 * MEBIBYTE
"""More than the buffers of a connection take while nobody reads."""
STILL = 12
"""Readings at 5 ms that must agree for a server to be taken as waiting."""
DIGEST = sha256(b"new").hexdigest()


def start(
    start_server: Callable[..., ServerProcess], model: str, root: Path, *options: str
) -> ServerProcess:
    workers = ["--workers", "4"] if "pool" in model else []
    return start_server(model, "--root", str(root), *workers, *options)


@pytest.fixture(scope="module", params=NAMES)
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


def test_files_of_all_sizes_there_and_back(peer: Peer, root: Path) -> None:
    for size in SIZES:
        data = content(size)
        peer.send(upload("put", data))
        assert peer.answer() == accepted("put", data)
        assert (root / "put").read_bytes() == data
        assert get(peer, "put") == (size, data, "END")


def test_files_of_all_sizes_hashed_at_first_and_then_sent_by_the_kernel(
    peer: Peer, root: Path
) -> None:
    for size in SIZES:
        data = content(size)
        (root / "file").write_bytes(data)
        assert get(peer, "file") == (size, data, "END")
        assert get(peer, "file") == (size, data, "END")


def test_requests_for_files_among_others(peer: Peer, root: Path) -> None:
    data = content(2 * DATA_BYTES)
    (root / "a").write_bytes(data)
    requests = [frame(ECHO, 1, b"x"), frame(GET, 2, b"a"), frame(LIST, 3), upload("b", data, 4)]
    peer.send(b"".join([*requests, frame(GET, 5, b"b")]))
    assert peer.answer() == (ECHO + 128, 1, b"x")
    assert download(peer.answer, tag=2) == (len(data), data, "END")
    assert peer.answer() == (LIST + 128, 3, json.dumps([{"name": "a", "size": len(data)}]).encode())
    assert peer.answer() == accepted("b", data, tag=4)
    assert download(peer.answer, tag=5) == (len(data), data, "END")


def test_a_half_closed_peer_gets_the_whole_file(peer: Peer, root: Path) -> None:
    data = content(LARGE)
    (root / "file").write_bytes(data)
    peer.send(frame(GET, 1, b"file"))
    peer.end()
    assert download(peer.answer) == (LARGE, data, "END")


def test_an_upload_that_arrives_byte_by_byte(peer: Peer) -> None:
    for byte in upload("slow", b"data"):
        peer.send(bytes([byte]))
    assert peer.answer() == accepted("slow", b"data")


# Refusals.


def test_refused_names_leave_the_connection_usable(peer: Peer, root: Path) -> None:
    (root / "link out").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    before = names_in(root)
    for name, code in {
        b"": 7,
        b"..": 7,
        b"../x": 7,
        b"/etc/passwd": 7,
        b"a\0": 7,
        b"x" * 256: 7,
        b"link out": 7,
        b".threadmill-0123": 7,
        b"\xff": 4,
        b"fifo": 9,
    }.items():
        assert error_of(peer.ask(GET, 1, name)) == code
        assert error_of(peer.ask(PUT, 1, name)) == code
        peer.send(meta("x", 3) + b"".join(pieces(b"new")) + end(DIGEST))
    assert error_of(peer.ask(GET, 1, b"nothing")) == 8
    assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")
    assert names_in(root) == before


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([frame(META, 1, b"{")], 4, id="BODY"),
        pytest.param([meta("y", 3)], 7, id="NAME"),
        pytest.param([meta("x", 2), *pieces(b"new")], 11, id="SIZE"),
    ],
)
def test_a_refused_upload_is_answered_at_once_and_leaves_the_connection_usable(
    peer: Peer, root: Path, parts: list[bytes], code: int
) -> None:
    peer.send(frame(PUT, 1, b"x") + b"".join(parts))
    assert error_of(peer.answer()) == code
    peer.send(b"".join(pieces(content(MEBIBYTE))) + end(DIGEST))
    assert peer.ask(ECHO, 2, b"go on") == (ECHO + 128, 2, b"go on")
    assert names_in(root) == []


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([meta("x", 4), *pieces(b"new"), end(DIGEST)], 11, id="SIZE"),
        pytest.param([meta("x", 3), *pieces(b"old"), end(DIGEST)], 10, id="DIGEST"),
    ],
)
def test_a_wrong_upload_leaves_the_old_file(
    peer: Peer, root: Path, parts: list[bytes], code: int
) -> None:
    (root / "x").write_bytes(b"old")
    peer.send(frame(PUT, 1, b"x") + b"".join(parts))
    assert error_of(peer.answer()) == code
    assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")
    assert (root / "x").read_bytes() == b"old"
    assert names_in(root) == ["x"]


def test_a_frame_out_of_turn_is_answered_and_the_server_closes(peer: Peer, root: Path) -> None:
    peer.send(frame(PUT, 1, b"x") + meta("x", 3))
    assert error_of(peer.ask(ECHO, 2)) == 14
    assert peer.is_at_end()
    assert names_in(root) == []


def test_a_data_frame_over_its_limit_is_answered_and_the_server_closes(
    peer: Peer, root: Path
) -> None:
    size = DATA_BYTES + 1
    peer.send(frame(PUT, 1, b"x") + meta("x", size) + frame(DATA, 1, bytes(size)))
    assert error_of(peer.answer()) == 1
    assert peer.is_at_end()
    assert names_in(root) == []


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


@pytest.mark.parametrize("model", NAMES)
def test_a_server_without_a_root_has_no_files(start_server: StartServer, model: str) -> None:
    server = start_server(model, *(["--workers", "1"] if "pool" in model else []))
    with server.peer() as peer:
        for kind in (GET, LIST):
            assert error_of(peer.ask(kind, 1, b"x")) == 6
        peer.send(upload("x", content(MEBIBYTE)))
        assert error_of(peer.answer()) == 6
        assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")


# How much, and how many.


@pytest.mark.parametrize("model", NAMES)
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


@pytest.mark.parametrize("model", SEVERAL_AT_ONCE)
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


@pytest.mark.parametrize("leave", [Peer.end, Peer.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("sent", [0, 1, 2], ids=["after PUT", "after META", "in mid-file"])
def test_a_peer_that_goes_in_mid_upload_leaves_no_trace(
    server: ServerProcess, root: Path, peer: Peer, leave: Callable[[Peer], None], sent: int
) -> None:
    (root / "x").write_bytes(b"old")
    peer.ask(ECHO)
    parts = [meta("x", MEBIBYTE), *pieces(content(MEBIBYTE))]
    peer.send(frame(PUT, 1, b"x") + b"".join(parts[:sent]))
    assert eventually(lambda: open_files(server, root) != [])
    leave(peer)
    assert eventually(lambda: open_files(server, root) == [])
    assert names_in(root) == ["x"]
    assert (root / "x").read_bytes() == b"old"


@pytest.mark.parametrize("times", [1, 2], ids=["hashing", "by the kernel"])
def test_a_peer_that_resets_in_mid_file_leaves_nothing_open(
    server: ServerProcess, root: Path, peer: Peer, times: int
) -> None:
    (root / "file").write_bytes(content(LARGE))
    for _ in range(times - 1):
        get(peer, "file")
    stall(server, peer, "file")
    assert open_files(server, root) != []
    peer.reset()
    assert eventually(lambda: open_files(server, root) == [])


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


FIRST_TIME_OR_REMEMBERED = pytest.mark.parametrize(
    "prepare", [lambda _peer, _name: None, remember], ids=["hashing", "by the kernel"]
)
Prepare = Callable[[Peer, str], None]


@FIRST_TIME_OR_REMEMBERED
def test_a_peer_that_stops_reading_stops_the_reading_of_the_file(
    server: ServerProcess, root: Path, peer: Peer, prepare: Prepare
) -> None:
    data = content(LARGE)
    (root / "file").write_bytes(data)
    prepare(peer, "file")
    assert stall(server, peer, "file") < LARGE * 3 // 4
    if server.model != "serial":
        with server.peer() as another:
            assert another.ask(ECHO, 1, b"me too") == (ECHO + 128, 1, b"me too")
    assert download(peer.answer) == (LARGE, data, "END")


def shorten(path: Path) -> None:
    os.truncate(path, MEBIBYTE)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@FIRST_TIME_OR_REMEMBERED
@pytest.mark.parametrize("change", [shorten, append])
def test_a_file_that_changes_while_it_is_sent_never_looks_whole(
    server: ServerProcess,
    root: Path,
    peer: Peer,
    prepare: Prepare,
    change: Callable[[Path], None],
) -> None:
    path = root / "file"
    path.write_bytes(content(LARGE))
    prepare(peer, "file")
    stall(server, peer, "file")
    change(path)
    got = download(peer.answer)
    assert got.ending in {13, "cut off"}
    assert got.ending == 13 or change is shorten
    assert len(got.data) < LARGE or change is not shorten
    if got.ending == 13:
        assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")


def converse_in_coroutine(connection: socket.socket, session: Session) -> None:
    scheduler = Scheduler()
    connection.setblocking(False)
    scheduler.spawn(yielding.converse(connection, session, scheduler))
    scheduler.run()


def converse_in_asyncio(connection: socket.socket, session: Session) -> None:
    class OneSession(Service):
        def session(self) -> Session:
            return session

    async def serve() -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await streams.converse(OneSession(), reader, writer)

    asyncio.run(serve())


@pytest.mark.parametrize(
    "converse", [blocking.converse, converse_in_coroutine, converse_in_asyncio]
)
@pytest.mark.parametrize(
    ("length", "flags"), [(0, os.O_RDONLY), (7, os.O_RDONLY), (100, os.O_WRONLY)]
)
def test_a_frame_that_cannot_be_filled_is_cut_off_by_a_reset(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    converse: Callable[[socket.socket, Session], None],
    length: int,
    flags: int,
) -> None:
    (tmp_path / "file").write_bytes(bytes(length))
    with FileIO(os.open(tmp_path / "file", flags)) as file:
        steps = [HEADER.pack(100, DATA, 0, 1), SendFile(file, 0, 100)]
        monkeypatch.setattr(Session, "respond", lambda _self, _request: iter(steps))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = Peer(listener.getsockname()[1])
            connection, _ = listener.accept()
        with peer:
            peer.send(frame(GET, 1, b"file"))
            converse(connection, Session())
            with pytest.raises(ConnectionResetError):
                peer.rest()


@FIRST_TIME_OR_REMEMBERED
def test_a_file_replaced_while_it_is_sent_arrives_whole_as_it_was(
    server: ServerProcess, root: Path, peer: Peer, prepare: Prepare
) -> None:
    old = content(LARGE)
    (root / "file").write_bytes(old)
    prepare(peer, "file")
    stall(server, peer, "file")
    (root / "new").write_bytes(b"new")
    (root / "new").rename(root / "file")
    assert download(peer.answer) == (LARGE, old, "END")
    assert get(peer, "file") == (3, b"new", "END")


# Several at once.


@pytest.mark.parametrize("shared", SEVERAL_AT_ONCE, indirect=True)
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


@pytest.mark.parametrize("shared", SEVERAL_AT_ONCE, indirect=True)
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


@pytest.fixture(params=NAMES)
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


def test_a_download_under_way_may_end_within_the_grace(own: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content(LARGE))
    with own.peer() as peer:
        stall(own, peer, "file")
        own.signal(signal.SIGTERM)
        assert download(peer.answer).ending in {"END", "cut off"}
        assert own.exit_code() == 0


def test_a_stop_in_mid_upload_leaves_no_trace(own: ServerProcess, tmp_path: Path) -> None:
    with own.peer() as peer:
        peer.send(frame(PUT, 1, b"x") + meta("x", MEBIBYTE) + next(pieces(content(MEBIBYTE))))
        assert eventually(lambda: open_files(own, tmp_path) != [])
        own.signal(signal.SIGTERM)
        assert peer.is_at_end()
        assert own.exit_code() == 0
    assert names_in(tmp_path) == []


def test_a_killed_server_leaves_no_trace_of_an_upload(own: ServerProcess, tmp_path: Path) -> None:
    with own.peer() as peer:
        peer.send(frame(PUT, 1, b"x") + meta("x", MEBIBYTE) + next(pieces(content(MEBIBYTE))))
        assert eventually(lambda: open_files(own, tmp_path) != [])
        assert own.process.stdin
        own.process.stdin.close()
        assert own.is_gone()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("model", NAMES)
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
