"""The file client: whole files or none, and whose fault it was when there is none."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from clients.transfer import client as transfer
from clients.transfer.answers import Entry
from clients.transfer.conversation import TAG
from clients.transfer.errors import MachineError, PeerError, TransferError, UserError
from servers import protocol
from servers.protocol import DATA, END, ERROR, META, frame
from tests import scripted
from tests.conftest import ROOT, StartServer
from tests.rows import ONE_OF_EACH_FAMILY

HOST = "127.0.0.1"
CONTENT = bytes(range(256)) * 3000 + b"the end"  # three DATA frames, the last one short
NAMES = ["plain", "with blanks", "\N{GREEK SMALL LETTER ALPHA}\N{SNOWMAN}"]
SIZES = [0, 1, protocol.DATA_BYTES, protocol.DATA_BYTES + 1, 3_000_000]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A destination that holds a file already, which must be all there is afterwards."""
    destination = tmp_path / "file"
    destination.write_bytes(b"old")
    yield destination
    assert destination.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [destination]


# Against a model of each family.


@pytest.fixture(scope="module", params=ONE_OF_EACH_FAMILY)
def served(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[int, Path]:
    """A server's port, and its root."""
    root = tmp_path_factory.mktemp("root")
    return start_server(request.param, "--root", str(root)).port, root


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_listed_and_comes_back(
    served: tuple[int, Path], tmp_path: Path, size: int
) -> None:
    port, root = served
    content = (CONTENT * (size // len(CONTENT) + 1))[:size]
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.write_bytes(content)
    name = f"{size} {NAMES[size % 3]}"
    sent = transfer.put(HOST, port, source, name)
    assert sent == (name, size, hashlib.sha256(content).hexdigest())
    assert Entry(name, size) in transfer.list_files(HOST, port)
    assert (root / name).read_bytes() == content
    assert transfer.get(HOST, port, name, destination) == sent
    assert destination.read_bytes() == content


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_files_go_there_and_back_over_ipv6(
    start_server: StartServer, model: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "source").write_bytes(CONTENT)
    port = start_server(model, "--host", "::1", "--root", str(root)).port
    sent = transfer.put("::1", port, tmp_path / "source", "name")
    assert transfer.list_files("::1", port) == [Entry("name", len(CONTENT))]
    assert transfer.get("::1", port, "name", tmp_path / "back") == sent
    assert (tmp_path / "back").read_bytes() == CONTENT


def test_a_file_that_is_not_there_is_the_servers_word_and_leaves_the_old_one(
    served: tuple[int, Path], old: Path
) -> None:
    with pytest.raises(PeerError, match="The server refused: "):
        transfer.get(HOST, served[0], "no such file", old)


def test_a_name_that_leads_out_of_the_root_is_refused_while_it_is_sent(
    served: tuple[int, Path], old: Path
) -> None:
    with pytest.raises(PeerError, match="The server refused: "):
        transfer.put(HOST, served[0], old, "../escaped")
    assert not (served[1].parent / "escaped").exists()


# Against servers that do wrong.

FRAMES = scripted.transfer(TAG, "file", CONTENT)
HEAD, *PIECES, LAST = FRAMES


def json_frame(kind: int, **values: object) -> bytes:
    return scripted.json_frame(kind, TAG, values)


def error(code: int, sentence: str) -> bytes:
    return frame(ERROR, TAG, code.to_bytes(2, "big") + sentence.encode())


LISTED = frame(protocol.LIST | protocol.ANSWER, TAG, b"[]")


BAD_ANSWERS: dict[str, tuple[list[bytes], str]] = {
    "is gone at once": ([], "closed the connection before the end"),
    "is gone in mid-file": (FRAMES[:2], "closed the connection before the end"),
    "is gone in mid-frame": ([*FRAMES[:2], FRAMES[2][:1000]], "closed the connection"),
    "is gone before END": (FRAMES[:-1], "closed the connection before the end"),
    "sends END before all bytes": ([*FRAMES[:2], LAST], "kind 34 where 33 was due"),
    "sends END of the short file before all bytes": (
        [*FRAMES[:2], json_frame(END, sha256=hashlib.sha256(CONTENT[: 2**18]).hexdigest())],
        "kind 34 where 33 was due",
    ),
    "announces too little": (
        [json_frame(META, name="file", size=len(CONTENT) - 1), *PIECES, LAST],
        "bytes where",
    ),
    "announces too much": (
        [json_frame(META, name="file", size=len(CONTENT) + 1), *PIECES, LAST],
        "kind 34 where 33 was due",
    ),
    "sends empty DATA without end": ([HEAD, *[frame(DATA, TAG)] * 9], "sent 0 bytes"),
    "sends a wrong digest": ([*FRAMES[:-1], json_frame(END, sha256="0" * 64)], "digest"),
    "sends a wrong byte": (
        [HEAD, PIECES[0][:-1] + b"\0", *PIECES[1:], LAST],
        "digest",
    ),
    "sends no digest": ([*FRAMES[:-1], json_frame(END)], "sent no sha256"),
    "sends no JSON": ([frame(META, TAG, b"{")], "not JSON"),
    "sends JSON that is no object": ([frame(META, TAG, b"[]")], "no name"),
    "sends a size that is no number": ([json_frame(META, name="file", size=True)], "no size"),
    "sends a negative size": ([json_frame(META, name="file", size=-1)], "no size"),
    "sends another file": ([json_frame(META, name="other", size=1)], "another file"),
    "refuses": ([error(8, "There is no such file.")], "refused: There is no such file."),
    "refuses in mid-file": ([*FRAMES[:2], error(13, "It changed.")], "refused: It changed."),
    "refuses instead of END": ([*FRAMES[:-1], error(13, "It changed.")], "refused: It changed."),
    "refuses with a terminal's commands": ([error(8, "\x1b[2Jno")], r"refused: [^\x1b]*\[2Jno"),
    "nests without end": ([frame(META, TAG, b"[" * 4000)], "nested more than"),
    "announces more than a number can say": (
        [frame(META, TAG, b'{"name": "file", "size": 1%s}' % (b"0" * 3000))],
        "beyond 64 bits",
    ),
    "announces more than a file can have": (
        [json_frame(META, name="file", size=2**63)],
        "beyond 64 bits",
    ),
    "refuses with a sentence of a quarter of a megabyte": (
        [error(8, "no" * 130_000)],
        r"^The server refused: .{100,200}$",
    ),
    "answers another request": (scripted.transfer(7, "file", CONTENT), "request 7"),
    "sends an oversize frame": ([HEAD, frame(DATA, 1, bytes(2**18 + 1))], "broke the framing"),
    "sends flags": ([b"\0\0\0\0\x20\x01\0\x01"], "broke the framing"),
    "speaks another protocol": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "broke the framing"),
}


@pytest.mark.parametrize("fault", BAD_ANSWERS)
def test_a_get_from_a_server_that(fault: str, old: Path) -> None:
    frames, sentence = BAD_ANSWERS[fault]
    with (
        scripted.scripted_server(scripted.answers_get(*frames)) as port,
        pytest.raises(PeerError, match=sentence),
    ):
        transfer.get(HOST, port, "file", old)


def until_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize("frames", [0, 1, 2, len(FRAMES) - 1])
def test_a_server_that_stalls_is_given_up(frames: int, old: Path) -> None:
    script = scripted.answers_get(*FRAMES[:frames], then=until_the_end)
    with (
        scripted.scripted_server(script) as port,
        pytest.raises(PeerError, match="did not answer in time"),
    ):
        transfer.get(HOST, port, "file", old, idle_seconds=0.05)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up_after_the_whole_time(
    old: Path,
) -> None:
    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(frame(DATA, TAG, b"x"))
            time.sleep(0.005)

    script = scripted.answers_get(json_frame(META, name="file", size=2**40), then=drip)
    with (
        scripted.scripted_server(script) as port,
        pytest.raises(PeerError, match=r"not done within 0.1 seconds"),
    ):
        transfer.get(HOST, port, "file", old, total_seconds=0.1, most_bytes=0)


def test_the_whole_time_also_bounds_a_server_that_says_nothing(old: Path) -> None:
    with scripted.scripted_server(until_the_end) as port:
        for ask in (
            lambda: transfer.get(HOST, port, "file", old, total_seconds=0.05),
            lambda: transfer.put(HOST, port, old, total_seconds=0.05),
            lambda: transfer.list_files(HOST, port, total_seconds=0.05),
        ):
            with pytest.raises(PeerError, match=r"not done within 0.05 seconds"):
                ask()


@pytest.mark.parametrize(("most_bytes", "is_fetched"), [(7, False), (8, True), (0, True)])
def test_a_file_of_more_bytes_than_are_wanted_is_not_fetched(
    tmp_path: Path, most_bytes: int, is_fetched: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with scripted.scripted_server(scripted.file_server({"file": b"8 bytes."})) as port:
        if is_fetched:
            transfer.get(HOST, port, "file", path, most_bytes=most_bytes)
        else:
            with pytest.raises(UserError, match="has 8 bytes, and at most 7"):
                transfer.get(HOST, port, "file", path, most_bytes=most_bytes)
    assert path.read_bytes() == (b"8 bytes." if is_fetched else b"old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_server_that_resets_is_the_servers_fault(old: Path) -> None:
    script = scripted.answers_get(*FRAMES[:2], then=scripted.reset)
    with scripted.scripted_server(script) as port, pytest.raises(PeerError):
        transfer.get(HOST, port, "file", old)


def test_a_server_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(16 * 2**20))
    given_up = threading.Event()

    def script(_: socket.socket) -> None:
        given_up.wait(scripted.TIMEOUT_SECONDS)

    with scripted.scripted_server(script) as port:
        with pytest.raises(PeerError, match="in time"):
            transfer.put(HOST, port, tmp_path / "big", idle_seconds=0.05)
        given_up.set()


@pytest.mark.parametrize("then", [lambda _: None, until_the_end, scripted.reset])
def test_a_refused_upload_stops_at_once_and_says_why(
    tmp_path: Path, then: Callable[[socket.socket], object]
) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(16 * 2**20))
    moved: list[int] = []
    refusal = error(7, "This name is refused.")
    with (
        scripted.scripted_server(scripted.answers_get(refusal, then=then)) as port,
        pytest.raises(PeerError) as caught,
    ):
        transfer.put(HOST, port, path, progress=lambda done, _size: moved.append(done))
    if then is not scripted.reset:  # which may overtake the server's last words
        assert str(caught.value) == "The server refused: This name is refused."
    assert 16 * 2**20 not in moved


@pytest.mark.parametrize("change", [{"name": "x"}, {"size": 4}, {"sha256": "0" * 64}])
def test_an_upload_that_the_server_stored_otherwise_is_its_fault(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"new")
    values = {"name": "file", "size": 3, "sha256": hashlib.sha256(b"new").hexdigest(), **change}

    def script(connection: socket.socket) -> None:
        for kind, _, _ in scripted.requests(connection):
            if kind == END:
                connection.sendall(json_frame(protocol.PUT | protocol.ANSWER, **values))

    with (
        scripted.scripted_server(script) as port,
        pytest.raises(PeerError, match="something else"),
    ):
        transfer.put(HOST, port, path)


@pytest.mark.parametrize(
    "values",
    [
        {},
        [{}],
        [{"name": "a"}],
        [{"name": 1, "size": 1}],
        [3],
        [{"name": "a", "size": 2**63}],
        [{"name": "x" * 256, "size": 1}],
    ],
)
def test_a_list_that_is_none_is_the_servers_fault(values: object) -> None:
    answer = frame(protocol.LIST | protocol.ANSWER, TAG, json.dumps(values).encode())
    with scripted.scripted_server(scripted.answers_get(answer)) as port, pytest.raises(PeerError):
        transfer.list_files(HOST, port)


@pytest.mark.parametrize(
    "answer",
    [
        frame(protocol.LIST | protocol.ANSWER, TAG, b"[" * 10**6),
        frame(
            protocol.LIST | protocol.ANSWER, TAG, b'[{"name": "a", "size": 1%s}]' % (b"0" * 5000)
        ),
        error(12, "no" * 5_000_000),
    ],
    ids=["deep", "huge number", "huge refusal"],
)
def test_an_answer_without_bounds_is_told_in_a_sentence_with_bounds(
    answer: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"new")
    with scripted.scripted_server(scripted.answers_get(answer)) as port:
        with pytest.raises(PeerError) as listed:
            transfer.list_files(HOST, port)
        with pytest.raises(PeerError) as put:
            transfer.put(HOST, port, tmp_path / "file")
    assert len(str(listed.value)) < 300
    assert len(str(put.value)) < 300


# The user's faults, and the machine's.


@pytest.mark.parametrize("name", ["", "x" * 256, "a\0b", "\udcff"])
def test_a_name_that_no_server_could_take_is_the_users_fault(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name"):
        transfer.get(HOST, 1, name, tmp_path / "file")


def test_a_local_file_that_changes_while_it_is_sent_is_never_sent_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files: dict[str, bytes] = {}
    for change in (lambda: path.write_bytes(b"short"), lambda: os.utime(path, (1, 1))):
        path.write_bytes(CONTENT)
        with (
            scripted.scripted_server(scripted.file_server(files)) as port,
            pytest.raises(UserError, match="while it was sent"),
        ):
            transfer.put(HOST, port, path, progress=lambda *_, change=change: change())
    assert files == {}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda _: None, "No such file"),
        (lambda path: path.mkdir(), "is not a file|Is a directory"),
        (os.mkfifo, "is not a file"),
    ],
)
def test_what_is_no_file_cannot_be_sent(
    make: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    make(tmp_path / "thing")
    with pytest.raises(UserError, match=sentence):
        transfer.put(HOST, 1, tmp_path / "thing")


@pytest.mark.parametrize(
    ("destination", "sentence"),
    [("missing/file", "no folder"), (".", "not a file"), ("/dev/null", "not a file")],
)
def test_a_destination_that_cannot_be_replaced_is_the_users_fault(
    destination: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        transfer.get(HOST, 1, "file", tmp_path / destination)


def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    with scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port:
        transfer.get(HOST, port, "file", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_that_is_replaced_hands_its_permissions_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    seen: list[int] = []
    with scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port:
        for permissions in (0o600, 0o640):
            (tmp_path / "file").chmod(permissions)
            transfer.get(
                HOST,
                port,
                "file",
                tmp_path / "file",
                progress=lambda *_: seen.extend(
                    path.stat().st_mode & 0o777 for path in tmp_path.glob("*.part")
                ),
            )
            assert (tmp_path / "file").stat().st_mode & 0o777 == permissions
            assert set(seen) == {permissions}
            seen.clear()


def test_a_read_only_file_system_is_the_machines_fault(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port,
        pytest.raises(MachineError, match="Read-only file system"),
    ):
        transfer.get(HOST, port, "file", old)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_is_the_machines_fault_and_leaves_no_trace(
    step: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with (
        scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port,
        pytest.raises(MachineError, match="No space left on device"),
    ):
        transfer.get(HOST, port, "file", old)


def test_a_file_too_large_for_the_disk_is_the_machines_fault_and_leaves_no_trace(
    old: Path,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with (
            scripted.scripted_server(scripted.file_server({"file": CONTENT})) as port,
            pytest.raises(MachineError, match="File too large"),
        ):
            transfer.get(HOST, port, "file", old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_port_where_nobody_listens_is_the_servers_fault() -> None:
    with pytest.raises(PeerError, match="Connection refused"):
        transfer.list_files(HOST, 1)


def test_a_host_that_has_no_address_is_the_users_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UserError, match="no address for 'nowhere'"):
        transfer.list_files("nowhere", 1)


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..b", "\udcff"])
def test_what_can_be_no_name_of_a_host_is_the_users_fault(host: str) -> None:
    with pytest.raises(UserError, match="no address for"):
        transfer.list_files(host, 1)


def test_of_the_addresses_of_a_host_the_first_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted.scripted_server(scripted.answers_get(LISTED)) as port:
        found = [(2, 1, 6, "", (HOST, 1)), (2, 1, 6, "", (HOST, port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert transfer.list_files("two", port) == []


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = {kind: kind.exit_code for kind in TransferError.__subclasses__()}
    assert codes == {PeerError: 1, UserError: 2, MachineError: 3}


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from clients.transfer import client as transfer\n"
        "host, port, path = '127.0.0.1', int(sys.argv[1]), Path(sys.argv[2])\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "transfer.put(host, port, path / 'small')\n"
        "transfer.get(host, port, 'small', path / 'copy')\n"
        "before = peak()\n"
        "transfer.put(host, port, path / 'big')\n"
        "transfer.get(host, port, 'big', path / 'copy')\n"
        "print(peak() - before)\n"
    )
    (tmp_path / "small").write_bytes(bytes(2**20))
    (tmp_path / "big").write_bytes(bytes(64 * 2**20))
    with scripted.scripted_server(scripted.file_server({})) as port:
        done = subprocess.run(
            [sys.executable, "-c", script, str(port), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            cwd=ROOT,
        )
    assert (tmp_path / "copy").stat().st_size == 64 * 2**20
    assert int(done.stdout) < 8 * 1024  # KiB
