"""Files without a socket: what is refused, what a transfer leaves behind, what looks whole."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from servers import files, uploads
from servers.files import Files
from servers.protocol import (
    DATA,
    DATA_BYTES,
    DEFAULT_LIMIT,
    ECHO,
    END,
    GET,
    HEADER,
    LIST,
    META,
    PUT,
    Connection,
    Frame,
    frame,
)
from servers.service import Session
from servers.steps import CutShort, SendFile, Wait
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

DIGEST = sha256(b"new").hexdigest()
NOTHING = sha256(b"").hexdigest()


class Model:
    """The least that carries steps out: one session, its answers in order, no socket."""

    def __init__(self, root: Path | None, limit: int = DEFAULT_LIMIT) -> None:
        self.files = Files(str(root), limit) if root else None
        self.session = Session(limit, self.files)
        self.kinds_of_steps: list[type] = []
        self._received = Connection()

    def ask(self, *requests: bytes) -> list[Frame]:
        return list(self.answers(*requests))

    def answers(self, *requests: bytes) -> Iterator[Frame]:
        for step in self.session.receive(b"".join(requests)):
            self.kinds_of_steps.append(type(step))
            if isinstance(step, bytes):
                yield from self._received.receive(step)
            elif isinstance(step, SendFile):
                data = os.pread(step.file.fileno(), step.count, step.offset)
                if len(data) < step.count:
                    raise CutShort
                yield from self._received.receive(data)
            else:
                assert isinstance(step, Wait)
                assert step.seconds == 0

    def get(self, name: str) -> Download:
        return download(deque(self.ask(frame(GET, 1, name.encode()))).popleft)

    def goes_on(self) -> bool:
        """Say whether an echo is answered as ever."""
        return not self.session.closing and self.ask(frame(ECHO, 9)) == [(ECHO + 128, 9, b"")]


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    """Return a session over an empty root; afterwards all its descriptors are closed."""
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    model = Model(tmp_path)
    with closing(model.session):
        yield model
    assert model.files
    model.files.close()
    assert set(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


@pytest.fixture(params=["without a name", "with a hidden name"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receive into a file without a name, then as on a file system that knows no such thing."""
    if request.param == "with a hidden name":
        monkeypatch.setattr(uploads, "UNNAMED_FLAGS", os.O_WRONLY)  # for a directory: EISDIR


both_ways = pytest.mark.usefixtures("_both_ways")


def names_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


# There and back.


@both_ways
@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_as_it_was_put(model: Model, tmp_path: Path, size: int) -> None:
    data = content(size)
    assert model.ask(upload("name", data)) == [accepted("name", data)]
    assert (tmp_path / "name").read_bytes() == data
    assert names_in(tmp_path) == ["name"]
    assert model.get("name") == (size, data, "END")


@pytest.mark.parametrize("size", SIZES)
def test_the_kernel_sends_a_file_whose_digest_is_remembered(
    model: Model, tmp_path: Path, size: int
) -> None:
    data = content(size)
    (tmp_path / "name").write_bytes(data)
    assert model.get("name") == (size, data, "END")
    assert SendFile not in model.kinds_of_steps
    model.kinds_of_steps.clear()
    assert model.get("name") == (size, data, "END")
    assert model.kinds_of_steps.count(SendFile) == -(-size // DATA_BYTES)


def test_what_was_put_is_remembered(model: Model) -> None:
    model.ask(upload("name", b"data"))
    model.kinds_of_steps.clear()
    model.get("name")
    assert SendFile in model.kinds_of_steps


def test_a_file_that_changed_is_hashed_anew(model: Model, tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"old")
    os.utime(tmp_path / "name", ns=(0, 1))
    assert model.get("name").data == b"old"
    (tmp_path / "name").write_bytes(b"new")
    assert model.get("name") == (3, b"new", "END")
    assert SendFile not in model.kinds_of_steps


def test_remembered_digests_are_bounded(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_DIGESTS", 3)
    for number in range(10):
        model.ask(upload(f"{number}", b"data"))
        assert model.files
        assert len(model.files._digests) <= 3


def test_others_have_their_turn_after_each_piece(model: Model, tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(content(3 * DATA_BYTES))
    model.get("name")
    assert model.kinds_of_steps == [bytes, Wait] * 3 + [bytes]
    model.kinds_of_steps.clear()
    model.get("name")
    assert model.kinds_of_steps == [bytes, SendFile, Wait] * 3 + [bytes]


def test_a_name_of_255_bytes_and_any_script(model: Model) -> None:
    name = "é" * 127 + "x"
    assert model.ask(upload(name, b"data")) == [accepted(name, b"data")]
    assert model.get(name).data == b"data"


def test_answers_stay_in_their_order(model: Model) -> None:
    answers = model.ask(
        frame(ECHO, 1), upload("a", b"1", tag=2), frame(GET, 3, b"a"), frame(LIST, 4)
    )
    assert [(kind, tag) for kind, tag, _ in answers] == [
        (ECHO + 128, 1),
        (PUT + 128, 2),
        (META, 3),
        (DATA, 3),
        (END, 3),
        (LIST + 128, 4),
    ]


@both_ways
def test_a_put_replaces_and_a_get_under_way_keeps_the_whole_old_file(
    model: Model, tmp_path: Path
) -> None:
    old, new = content(3 * DATA_BYTES), b"new"
    (tmp_path / "name").write_bytes(old)
    under_way = model.answers(frame(GET, 1, b"name"))
    first = [next(under_way), next(under_way)]
    assert model.files
    with closing(Session(files=model.files)) as another:
        list(another.receive(upload("name", new)))
    assert download(deque([*first, *under_way]).popleft) == (len(old), old, "END")
    assert model.get("name") == (3, new, "END")


@both_ways
def test_of_two_uploads_of_one_name_one_whole_file_wins(model: Model, tmp_path: Path) -> None:
    assert model.files
    with closing(Session(files=model.files)) as another:
        mine, others = content(3 * DATA_BYTES), content(3 * DATA_BYTES)[::-1]
        parts = len(upload("name", mine)) // 5 + 1
        for start in range(0, parts * 5, parts):
            for session, data in ((model.session, mine), (another, others)):
                list(session.receive(upload("name", data)[start : start + parts]))
    assert (tmp_path / "name").read_bytes() == others
    assert names_in(tmp_path) == ["name"]


# The list.


def test_the_list_has_regular_files_sorted_by_name(model: Model, tmp_path: Path) -> None:
    assert model.ask(frame(LIST, 1)) == [(LIST + 128, 1, b"[]")]
    for name in ("b", "a", "é", "B", ".threadmill-0123"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    [(kind, tag, body)] = model.ask(frame(LIST, 7))
    assert (kind, tag) == (LIST + 128, 7)
    assert json.loads(body) == [
        {"name": "B", "size": 1},
        {"name": "a", "size": 1},
        {"name": "b", "size": 1},
        {"name": "é", "size": 2},
    ]
    model.ask(frame(LIST, 7))  # a descriptor of a directory has a position: it must not matter
    assert model.ask(frame(LIST, 7)) == [(kind, tag, body)]


def test_a_list_over_the_limit_of_a_body_is_refused(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").touch()
    model = Model(tmp_path, limit=100)
    assert [error_of(answer) for answer in model.ask(frame(LIST, 1))] == [5]


# What is refused.

NAMES = [
    pytest.param(b"", 7, id="empty"),
    pytest.param(b".", 7, id="dot"),
    pytest.param(b"..", 7, id="dot dot"),
    pytest.param(b"../outside", 7, id="out"),
    pytest.param(b"/etc/passwd", 7, id="absolute"),
    pytest.param(b"folder/file", 7, id="in a folder"),
    pytest.param(b"file/", 7, id="slash at its end"),
    pytest.param(b"file\0", 7, id="NUL"),
    pytest.param(b"x" * 256, 7, id="256 bytes"),
    pytest.param("é".encode() * 128, 7, id="256 bytes in 128 characters"),
    pytest.param(b".threadmill-0123", 7, id="our own"),
    pytest.param(b"link out", 7, id="symlink out"),
    pytest.param(b"link in", 7, id="symlink within"),
    pytest.param(b"link nowhere", 7, id="symlink to nothing"),
    pytest.param(b"link to fifo", 7, id="symlink to a FIFO"),
    pytest.param(b"\xff", 4, id="not UTF-8"),
    pytest.param(b"folder", 9, id="folder"),
    pytest.param(b"fifo", 9, id="FIFO"),
    pytest.param(b"socket", 9, id="socket"),
]


@pytest.fixture
def crowded(model: Model, tmp_path: Path) -> Model:
    """Put all that is no file under the root."""
    (tmp_path / "file").write_bytes(b"file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / ".threadmill-0123").touch()
    (tmp_path / "link out").symlink_to("/etc/passwd")
    (tmp_path / "link in").symlink_to("file")
    (tmp_path / "link nowhere").symlink_to("nowhere")
    (tmp_path / "link to fifo").symlink_to("fifo")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{model.files.root if model.files else 0}/socket")
    return model


@pytest.mark.parametrize(("name", "code"), NAMES)
def test_a_name_that_is_no_file_cannot_be_got(crowded: Model, name: bytes, code: int) -> None:
    [answer] = crowded.ask(frame(GET, 1, name))
    assert error_of(answer) == code
    assert crowded.goes_on()


@pytest.mark.parametrize(("name", "code"), NAMES)
def test_a_name_that_is_no_file_cannot_be_put(
    crowded: Model, tmp_path: Path, name: bytes, code: int
) -> None:
    before = names_in(tmp_path)
    [answer] = crowded.ask(frame(PUT, 1, name), meta("x", 3), *pieces(b"new"), end(DIGEST))
    assert error_of(answer) == code
    assert crowded.goes_on()
    assert names_in(tmp_path) == before


@pytest.mark.parametrize("kind", [GET, PUT])
def test_a_device_is_no_file(kind: int) -> None:
    model = Model(Path("/dev"))
    assert [error_of(answer) for answer in model.ask(frame(kind, 1, b"null"))] == [9]


def test_a_file_that_is_not_there(model: Model) -> None:
    assert [error_of(answer) for answer in model.ask(frame(GET, 1, b"nothing"))] == [8]
    assert model.goes_on()


@pytest.mark.parametrize("request_frame", [frame(GET, 1, b"x"), frame(LIST, 1)])
def test_without_a_root_there_are_no_files(request_frame: bytes) -> None:
    model = Model(None)
    assert [error_of(answer) for answer in model.ask(request_frame)] == [6]
    assert model.goes_on()


def test_without_a_root_a_put_is_refused_and_what_follows_thrown_away() -> None:
    model = Model(None)
    data = content(3 * DATA_BYTES)
    assert [error_of(answer) for answer in model.ask(upload("x", data))] == [6]
    assert model.goes_on()


def test_a_root_that_is_no_directory_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in ("file", "nothing"):
        with pytest.raises(OSError, match="directory"):
            Files(str(tmp_path / root), DEFAULT_LIMIT)


# Uploads that fail.

PUT_X = frame(PUT, 1, b"x")
FAILING = [
    pytest.param([frame(META, 1, b"{")], 4, id="META no JSON"),
    pytest.param([frame(META, 1, b"\xff")], 4, id="META not UTF-8"),
    pytest.param([frame(META, 1, b"[1, 2]")], 4, id="META no object"),
    pytest.param([frame(META, 1, b"[" * 4096)], 4, id="META too deep"),
    pytest.param([frame(META, 1, b'{"name": "x"}')], 4, id="META without a size"),
    pytest.param([meta("x", -1)], 4, id="a negative size"),
    pytest.param([meta("x", 1.0)], 4, id="a size that is no whole number"),
    pytest.param([meta("x", True)], 4, id="a size that is a truth"),
    pytest.param([meta("y", 3)], 7, id="another name"),
    pytest.param([meta("x", 2), *pieces(b"new")], 11, id="more than announced"),
]
FAILING_AT_END = [
    pytest.param([meta("x", 4), *pieces(b"new"), end(DIGEST)], 11, id="less than announced"),
    pytest.param([meta("x", 3), *pieces(b"old"), end(DIGEST)], 10, id="another digest"),
    pytest.param([meta("x", 3), *pieces(b"new"), end(DIGEST.upper())], 10, id="upper case"),
    pytest.param([meta("x", 3), *pieces(b"new"), frame(END, 1)], 4, id="END empty"),
    pytest.param([meta("x", 3), *pieces(b"new"), frame(END, 1, b"[]")], 4, id="END no object"),
]


@both_ways
@pytest.mark.parametrize(("parts", "code"), FAILING)
def test_a_refused_upload_is_answered_at_once_and_the_rest_thrown_away(
    model: Model, tmp_path: Path, parts: list[bytes], code: int
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    assert [error_of(answer) for answer in model.ask(PUT_X, *parts)] == [code]
    assert names_in(tmp_path) == ["x"]
    assert model.ask(meta("x", 3), *pieces(content(3 * DATA_BYTES)), end(DIGEST)) == []
    assert model.goes_on()
    assert (tmp_path / "x").read_bytes() == b"old"


@both_ways
@pytest.mark.parametrize(("parts", "code"), FAILING_AT_END)
def test_an_upload_that_proves_wrong_at_its_end_leaves_the_old_file(
    model: Model, tmp_path: Path, parts: list[bytes], code: int
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    assert [error_of(answer) for answer in model.ask(PUT_X, *parts)] == [code]
    assert model.goes_on()
    assert names_in(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@both_ways
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_failing_file_system_leaves_the_old_file(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "secret path")

    (tmp_path / "x").write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        [answer] = model.ask(upload("x", b"new"))
    assert error_of(answer) == 12
    assert answer[2][2:] == b"The file system says: No space left on device."
    assert model.goes_on()
    assert names_in(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_put_that_cannot_begin_is_thrown_away(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        assert [error_of(answer) for answer in model.ask(upload("x", b"new"))] == [12]
        assert [error_of(answer) for answer in model.ask(frame(GET, 1, b"x"))] == [12]
    assert model.goes_on()


@both_ways
@pytest.mark.parametrize("parts", [[], [meta("x", 3)], [meta("x", 3), *pieces(b"ne")]])
def test_a_peer_that_goes_leaves_nothing(model: Model, tmp_path: Path, parts: list[bytes]) -> None:
    assert model.ask(PUT_X, *parts) == []
    model.session.close()
    model.session.close()
    assert names_in(tmp_path) == []


BEGUN = [PUT_X, meta("x", 3)]
REFUSED = [PUT_X, meta("y", 3)]
OUT_OF_TURN = [
    pytest.param([], meta("x", 3), id="META alone"),
    pytest.param([], frame(DATA, 1), id="DATA alone"),
    pytest.param([], end(NOTHING), id="END alone"),
    pytest.param([upload("x", b"")], end(NOTHING), id="END twice"),
    pytest.param([PUT_X], frame(DATA, 1), id="DATA before META"),
    pytest.param([PUT_X], end(NOTHING), id="END before META"),
    pytest.param(BEGUN, meta("x", 3), id="META twice"),
    pytest.param(BEGUN, frame(DATA, 2), id="DATA of another tag"),
    pytest.param(BEGUN, end(NOTHING, tag=2), id="END of another tag"),
    pytest.param(BEGUN, frame(ECHO, 1), id="ECHO in an upload"),
    pytest.param(BEGUN, frame(PUT, 1, b"x"), id="PUT in an upload"),
    pytest.param(BEGUN, frame(64, 1), id="BYE in an upload"),
    pytest.param(BEGUN, frame(99, 1), id="unknown in an upload"),
    pytest.param(REFUSED, frame(ECHO, 1), id="ECHO in a refused upload"),
    pytest.param(REFUSED, frame(DATA, 2), id="another tag in a refused upload"),
]


@pytest.mark.parametrize(("before", "request_frame"), OUT_OF_TURN)
def test_a_frame_out_of_turn_ends_the_conversation(
    model: Model, tmp_path: Path, before: list[bytes], request_frame: bytes
) -> None:
    model.ask(*before)
    names = names_in(tmp_path)
    [answer] = model.ask(request_frame, frame(ECHO, 1))
    assert error_of(answer) == 14
    assert answer[1] == HEADER.unpack_from(request_frame)[3]
    assert model.session.closing
    model.session.close()
    assert names_in(tmp_path) == names


def test_a_data_frame_over_its_limit_ends_the_conversation(model: Model) -> None:
    [answer] = model.ask(*BEGUN, HEADER.pack(DATA_BYTES + 1, DATA, 0, 1))
    assert error_of(answer) == 1
    assert model.session.closing


# Files that change while they are sent.


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shorten(path: Path) -> None:
    os.truncate(path, DATA_BYTES + 1)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize("change", [append, shorten, touch])
@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("pieces_before", [1, 2, 3])
def test_a_file_that_changes_while_it_is_sent_never_looks_whole(
    model: Model,
    tmp_path: Path,
    change: Callable[[Path], None],
    remembered: bool,
    pieces_before: int,
) -> None:
    path = tmp_path / "name"
    path.write_bytes(content(3 * DATA_BYTES))
    if remembered:
        model.get("name")
    answers = model.answers(frame(GET, 1, b"name"))
    before = [next(answers) for _ in range(1 + pieces_before)]
    change(path)
    got = download(deque([*before, *answers]).popleft)
    assert got.ending == 13
    assert content(3 * DATA_BYTES).startswith(got.data)
    assert model.goes_on()


def test_a_piece_too_short_for_the_header_that_is_sent_is_the_models_to_notice(
    model: Model, tmp_path: Path
) -> None:
    path = tmp_path / "name"
    path.write_bytes(content(DATA_BYTES))
    model.get("name")
    steps = iter(model.session.receive(frame(GET, 1, b"name")))
    assert isinstance(next(steps), bytes)
    step = next(steps)
    assert isinstance(step, SendFile)
    os.truncate(path, 1)
    assert (step.offset, step.count) == (0, DATA_BYTES)
    assert len(os.pread(step.file.fileno(), step.count, step.offset)) == 1
    del steps, step


def test_a_file_that_cannot_be_read_is_told(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "name").write_bytes(b"data")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", fail)
        [answer] = model.ask(frame(GET, 1, b"name"))
    assert error_of(answer) == 12
    assert model.goes_on()
