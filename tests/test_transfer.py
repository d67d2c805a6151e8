"""The file client: whole files or none, and whose fault it was when there is none."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
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
from clients.transfer.client import Entry, MachineError, PeerError, TransferError, UserError
from servers import protocol
from servers.catalog import MODELS
from servers.protocol import DATA, END, ERROR, META, frame
from tests import scripted
from tests.commands import clients_in_process
from tests.conftest import ROOT, StartServer, eventually

HOST = "127.0.0.1"
CONTENT = bytes(range(256)) * 3000 + b"the end"  # three DATA frames, the last one short
NAMES = ["plain", "with blanks", "\N{GREEK SMALL LETTER ALPHA}\N{SNOWMAN}"]
SIZES = [0, 1, protocol.DATA_BYTES, protocol.DATA_BYTES + 1, 3_000_000]


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


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A destination that holds a file already, which must be all there is afterwards."""
    destination = tmp_path / "file"
    destination.write_bytes(b"old")
    yield destination
    assert destination.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [destination]


# Against every model.


@pytest.fixture(scope="module", params=[model.name for model in MODELS])
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

FRAMES = scripted.transfer(transfer.TAG, "file", CONTENT)
HEAD, *PIECES, LAST = FRAMES


def json_frame(kind: int, **values: object) -> bytes:
    return scripted.json_frame(kind, transfer.TAG, values)


def error(code: int, sentence: str) -> bytes:
    return frame(ERROR, transfer.TAG, code.to_bytes(2, "big") + sentence.encode())


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
    "sends empty DATA without end": ([HEAD, *[frame(DATA, transfer.TAG)] * 9], "sent 0 bytes"),
    "sends a wrong digest": ([*FRAMES[:-1], json_frame(END, sha256="0" * 64)], "digest"),
    "sends a wrong byte": (
        [HEAD, PIECES[0][:-1] + b"\0", *PIECES[1:], LAST],
        "digest",
    ),
    "sends no digest": ([*FRAMES[:-1], json_frame(END)], "sent no sha256"),
    "sends no JSON": ([frame(META, transfer.TAG, b"{")], "not JSON"),
    "sends JSON that is no object": ([frame(META, transfer.TAG, b"[]")], "no name"),
    "sends a size that is no number": ([json_frame(META, name="file", size=True)], "no size"),
    "sends a negative size": ([json_frame(META, name="file", size=-1)], "no size"),
    "sends another file": ([json_frame(META, name="other", size=1)], "another file"),
    "refuses": ([error(8, "There is no such file.")], "refused: There is no such file."),
    "refuses in mid-file": ([*FRAMES[:2], error(13, "It changed.")], "refused: It changed."),
    "refuses instead of END": ([*FRAMES[:-1], error(13, "It changed.")], "refused: It changed."),
    "refuses with a terminal's commands": ([error(8, "\x1b[2Jno")], r"refused: \?\[2Jno"),
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


def _until_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize("frames", [0, 1, 2, len(FRAMES) - 1])
def test_a_server_that_stalls_is_given_up(frames: int, old: Path) -> None:
    script = scripted.answers_get(*FRAMES[:frames], then=_until_the_end)
    with (
        scripted.scripted_server(script) as port,
        pytest.raises(PeerError, match="did not answer in time"),
    ):
        transfer.get(HOST, port, "file", old, timeout_seconds=0.05)


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
            transfer.put(HOST, port, tmp_path / "big", timeout_seconds=0.05)
        given_up.set()


@pytest.mark.parametrize("then", [lambda _: None, _until_the_end, scripted.reset])
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


@pytest.mark.parametrize("values", [{}, [{}], [{"name": "a"}], [{"name": 1, "size": 1}], [3]])
def test_a_list_that_is_none_is_the_servers_fault(values: object) -> None:
    answer = frame(protocol.LIST | protocol.ANSWER, transfer.TAG, json.dumps(values).encode())
    with scripted.scripted_server(scripted.answers_get(answer)) as port, pytest.raises(PeerError):
        transfer.list_files(HOST, port)


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


# The command line.


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_file_and_has_exit_code_130(number: int, tmp_path: Path) -> None:
    script = scripted.answers_get(*FRAMES[:2], then=_until_the_end)
    with (
        scripted.scripted_server(script) as port,
        subprocess.Popen(
            [sys.executable, "-m", "clients", "get", f"{HOST}:{port}", "file"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert eventually(lambda: any(path.stat().st_size for path in tmp_path.iterdir()))
        process.send_signal(number)
        _, words = process.communicate(timeout=10)
    assert process.returncode == 130
    assert words == "clients: interrupted; nothing was left behind.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_sees_a_bar_with_the_rate(tmp_path: Path) -> None:
    drawn = b""
    pieces = [bytes(1024)] * 1000
    terminal, side = pty.openpty()

    def slowly(connection: socket.socket) -> None:
        next(scripted.requests(connection))
        connection.sendall(json_frame(META, name="file", size=1024 * 1000))
        for piece in pieces:
            connection.sendall(frame(DATA, transfer.TAG, piece))
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
