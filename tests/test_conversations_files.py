"""What every driver must do with files: there and back, refused, cut short, changed meanwhile."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from hashlib import sha256
from io import FileIO
from pathlib import Path

import pytest

from servers.protocol import DATA, DATA_BYTES, ECHO, GET, HEADER, LIST, META, PUT, frame
from servers.service import Session
from servers.steps import SendFile
from tests.conftest import eventually
from tests.conversations import Conversations, conversing, open_descriptors, unharmed
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

MEBIBYTE = 2**20
LARGE = 10 * MEBIBYTE
"""More than the buffers of a connection take while nobody reads."""
STILL = 12
"""Readings at 5 ms that must agree for a driver to be taken as waiting."""
A_PIECE = DATA_BYTES // 4
"""What readings may differ by and agree: to read is counted, too, also when done for a reading."""
DIGEST = sha256(b"new").hexdigest()


@pytest.fixture(scope="module")
def shared(
    driver: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Conversations, Path]]:
    root = tmp_path_factory.mktemp("root")
    with conversing(driver, root=root) as conversations:
        yield conversations, root


@pytest.fixture
def root(shared: tuple[Conversations, Path]) -> Path:
    """Return the root, empty."""
    for path in shared[1].iterdir():
        path.unlink()
    return shared[1]


@pytest.fixture
def peer(shared: tuple[Conversations, Path], root: Path) -> Iterator[Peer]:
    with unharmed(shared[0]), shared[0].peer() as peer:
        yield peer
    assert open_files(root) == []


def open_files(root: Path) -> list[str]:
    """Return what is open under the root, deleted or not."""
    return [target for target in open_descriptors().values() if target.startswith(f"{root}/")]


def names_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def get(peer: Peer, name: str) -> Download:
    peer.send(frame(GET, 1, name.encode()))
    return download(peer.answer)


def bytes_read() -> int:
    """Return what this process has read or had the kernel send."""
    return int(Path("/proc/self/io").read_text().split()[1])


def stall(peer: Peer, name: str) -> int:
    """Ask for a file, read nothing until the driver waits, and return what it has read."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    before = bytes_read()
    peer.send(frame(GET, 1, name.encode()))
    readings: list[int] = []

    def is_still() -> bool:
        """Say whether a row of readings has shown no piece of a file."""
        readings.append(bytes_read())
        row = readings[-STILL:]
        return row[0] > before + A_PIECE and len(row) == STILL and row[-1] - row[0] < A_PIECE

    assert eventually(is_still)
    return readings[-1] - before


def remember(peer: Peer, name: str) -> None:
    assert get(peer, name).ending == "END"


FIRST_TIME_OR_REMEMBERED = pytest.mark.parametrize(
    "prepare", [lambda _peer, _name: None, remember], ids=["hashing", "by the kernel"]
)
Prepare = Callable[[Peer, str], None]


# There and back.


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


def test_a_server_without_a_root_has_no_files(driver: str) -> None:
    with conversing(driver) as conversations, conversations.peer() as peer:
        for kind in (GET, LIST):
            assert error_of(peer.ask(kind, 1, b"x")) == 6
        peer.send(upload("x", content(MEBIBYTE)))
        assert error_of(peer.answer()) == 6
        assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")


# Peers that go.


@pytest.mark.parametrize("leave", [Peer.end, Peer.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("sent", [0, 1, 2], ids=["after PUT", "after META", "in mid-file"])
def test_a_peer_that_goes_in_mid_upload_leaves_no_trace(
    root: Path, peer: Peer, leave: Callable[[Peer], None], sent: int
) -> None:
    (root / "x").write_bytes(b"old")
    peer.ask(ECHO)
    parts = [meta("x", MEBIBYTE), *pieces(content(MEBIBYTE))]
    peer.send(frame(PUT, 1, b"x") + b"".join(parts[:sent]))
    assert eventually(lambda: open_files(root) != [])
    leave(peer)
    assert eventually(lambda: open_files(root) == [])
    assert names_in(root) == ["x"]
    assert (root / "x").read_bytes() == b"old"


@pytest.mark.parametrize("times", [1, 2], ids=["hashing", "by the kernel"])
def test_a_peer_that_resets_in_mid_file_leaves_nothing_open(
    root: Path, peer: Peer, times: int
) -> None:
    (root / "file").write_bytes(content(LARGE))
    for _ in range(times - 1):
        get(peer, "file")
    stall(peer, "file")
    assert open_files(root) != []
    peer.reset()
    assert eventually(lambda: open_files(root) == [])


# Peers that do not read, and files that change meanwhile.


@FIRST_TIME_OR_REMEMBERED
def test_a_peer_that_stops_reading_stops_the_reading_of_the_file(
    root: Path, peer: Peer, prepare: Prepare
) -> None:
    data = content(LARGE)
    (root / "file").write_bytes(data)
    prepare(peer, "file")
    assert stall(peer, "file") < LARGE * 3 // 4
    assert download(peer.answer) == (LARGE, data, "END")


def shorten(path: Path) -> None:
    os.truncate(path, MEBIBYTE)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@FIRST_TIME_OR_REMEMBERED
@pytest.mark.parametrize("change", [shorten, append])
def test_a_file_that_changes_while_it_is_sent_never_looks_whole(
    root: Path,
    peer: Peer,
    prepare: Prepare,
    change: Callable[[Path], None],
) -> None:
    path = root / "file"
    path.write_bytes(content(LARGE))
    prepare(peer, "file")
    stall(peer, "file")
    change(path)
    got = download(peer.answer)
    assert got.ending in {13, "cut off"}
    assert got.ending == 13 or change is shorten
    assert len(got.data) < LARGE or change is not shorten
    if got.ending == 13:
        assert peer.ask(ECHO, 2) == (ECHO + 128, 2, b"")


@pytest.mark.parametrize(
    ("length", "flags"), [(0, os.O_RDONLY), (7, os.O_RDONLY), (100, os.O_WRONLY)]
)
def test_a_frame_that_cannot_be_filled_is_cut_off_by_a_reset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str, length: int, flags: int
) -> None:
    (tmp_path / "file").write_bytes(bytes(length))
    with FileIO(os.open(tmp_path / "file", flags)) as file:
        steps = [HEADER.pack(100, DATA, 0, 1), SendFile(file, 0, 100)]
        monkeypatch.setattr(Session, "respond", lambda _self, _request: iter(steps))
        with conversing(driver) as conversations, conversations.peer() as peer:
            peer.send(frame(GET, 1, b"file"))
            with pytest.raises(ConnectionResetError):
                peer.rest()


@FIRST_TIME_OR_REMEMBERED
def test_a_file_replaced_while_it_is_sent_arrives_whole_as_it_was(
    root: Path, peer: Peer, prepare: Prepare
) -> None:
    old = content(LARGE)
    (root / "file").write_bytes(old)
    prepare(peer, "file")
    stall(peer, "file")
    (root / "new").write_bytes(b"new")
    (root / "new").rename(root / "file")
    assert download(peer.answer) == (LARGE, old, "END")
    assert get(peer, "file") == (3, b"new", "END")
