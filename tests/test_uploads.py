"""Uploads without a socket: what a killed server leaves, who may read, and how many there are."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from servers import uploads
from servers.files import Files
from servers.places import Places
from servers.protocol import DEFAULT_LIMIT, ECHO, PUT, Connection, Frame, frame
from servers.service import Session
from servers.uploads import HIDDEN, take_over
from tests.transfers import accepted, end, error_of, meta, pieces, upload

LEFT = ".threadmill-0123456789abcdef"
NEIGHBOURS = ".threadmill-fedcba9876543210"
DIGEST = sha256(b"new").hexdigest()


@pytest.fixture(params=["without a name", "with a hidden name"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receive into a file without a name, then as on a file system that knows no such thing."""
    if request.param == "with a hidden name":
        monkeypatch.setattr(uploads, "UNNAMED_FLAGS", os.O_WRONLY)  # for a directory: EISDIR


both_ways = pytest.mark.usefixtures("_both_ways")


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """Return the files of an empty root; afterwards all descriptors are closed."""
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    with closing(Files(str(tmp_path), DEFAULT_LIMIT, 1000, 2)) as files:
        yield files
    assert set(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def ask(session: Session, *requests: bytes) -> list[Frame]:
    framing = Connection()
    steps = session.receive(b"".join(requests))
    return [each for step in steps if isinstance(step, bytes) for each in framing.receive(step)]


def put(root: Path, data: bytes) -> None:
    """Put `data` as "x" in a root, as a server of its own would."""
    with (
        closing(Files(str(root), DEFAULT_LIMIT)) as files,
        closing(Session(files=files)) as session,
    ):
        assert ask(session, upload("x", data)) == [accepted("x", data)]


def hidden_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.startswith(HIDDEN.decode()))


def sweep(root: Path) -> None:
    """Do what a server does when it starts."""
    Files(str(root), DEFAULT_LIMIT).close()


# What a killed server leaves.


def killed_at(call: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process put "x" and be killed just when it makes a system call."""

    def kill(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if not pid:
        monkeypatch.setattr(os, call, kill)
        with suppress(BaseException):
            put(root, b"new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@both_ways
def test_what_a_server_leaves_that_is_killed_before_a_rename_is_swept_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    killed_at("rename", tmp_path, monkeypatch)
    assert len(hidden_in(tmp_path)) == 1
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_server_that_is_killed_before_a_new_name_is_there_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    killed_at(call, tmp_path, monkeypatch)
    assert list(tmp_path.iterdir()) == []


def test_a_new_name_is_never_hidden_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    link = os.link

    def watched(*arguments: object, **options: object) -> None:
        link(*arguments, **options)  # type: ignore[arg-type]
        seen.append(hidden_in(tmp_path))

    monkeypatch.setattr(os, "link", watched)
    put(tmp_path, b"new")
    put(tmp_path, b"newer")
    assert [len(names) for names in seen] == [0, 1]
    assert hidden_in(tmp_path) == []


def test_a_name_that_appears_at_the_last_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(*arguments: object, **options: object) -> None:
        (tmp_path / "x").write_bytes(b"another's")
        link(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", late)
    put(tmp_path, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"new"


@both_ways
def test_a_server_that_starts_spares_what_a_neighbour_is_about_to_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    swept: list[list[str]] = []

    def after_a_sweep(*arguments: object, **options: object) -> None:
        sweep(tmp_path)
        swept.append(hidden_in(tmp_path))
        rename(*arguments, **options)  # type: ignore[arg-type]

    for old_permissions in (0o644, 0o000):
        (tmp_path / "x").write_bytes(b"old")
        (tmp_path / "x").chmod(old_permissions)
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", after_a_sweep)
            put(tmp_path, b"new")
        assert len(swept.pop()) == 1
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == old_permissions
        (tmp_path / "x").chmod(0o600)
        assert (tmp_path / "x").read_bytes() == b"new"
        (tmp_path / "x").unlink()


@both_ways
def test_a_file_system_that_does_not_even_remove_is_told_and_the_next_server_sweeps(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "x").write_bytes(b"old")
    with closing(Session(files=files)) as session:
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", fail)
            patched.setattr(os, "unlink", fail)
            assert [error_of(answer) for answer in ask(session, upload("x", b"new"))] == [12]
        assert ask(session, upload("y", b"new")) == [accepted("y", b"new")]
    assert len(hidden_in(tmp_path)) == 1
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


@both_ways
def test_a_symbolic_link_that_appears_during_an_upload_is_not_replaced(
    files: Files, tmp_path: Path
) -> None:
    with closing(Session(files=files)) as session:
        assert ask(session, frame(PUT, 1, b"x"), meta("x", 3)) == []
        (tmp_path / "x").symlink_to("elsewhere")
        [answer] = ask(session, *pieces(b"new"), end(DIGEST))
        assert error_of(answer) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").is_symlink()


def test_a_hidden_file_that_a_sweep_was_quicker_to_lock_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UNNAMED_FLAGS", os.O_WRONLY)
    flock, times = fcntl.flock, iter(range(100))

    def after_a_sweep(descriptor: int, operation: int) -> None:
        if not next(times):
            sweep(tmp_path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_sweep)
    put(tmp_path, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_sweep_removes_nothing_but_hidden_files_that_nobody_holds(tmp_path: Path) -> None:
    for name in (LEFT, NEIGHBOURS, ".threadmill-0123", f"{LEFT}.part", f"{LEFT[:-1]}G", "file"):
        (tmp_path / name).touch()
    (tmp_path / f"{LEFT[:-1]}0").symlink_to("file")
    (tmp_path / f"{LEFT[:-1]}1").mkdir()
    os.mkfifo(tmp_path / f"{LEFT[:-1]}2")
    before = {path.name for path in tmp_path.iterdir()}
    with (tmp_path / NEIGHBOURS).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sweep(tmp_path)
    assert before - {path.name for path in tmp_path.iterdir()} == {LEFT}


# Who may read.


@both_ways
@pytest.mark.parametrize(
    ("old", "new"),
    [(0o600, 0o600), (0o640, 0o640), (0o444, 0o444), (0o777, 0o777), (0o6751, 0o751)],
)
def test_a_file_that_is_replaced_hands_its_permissions_down_but_no_special_bits(
    tmp_path: Path, old: int, new: int
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(old)
    put(tmp_path, b"new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == new


@both_ways
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_nobody_else_may_read_a_hidden_file_while_it_arrives(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UNNAMED_FLAGS", os.O_WRONLY)
    with closing(Session(files=files)) as session:
        ask(session, frame(PUT, 1, b"x"), meta("x", 3))
        [hidden] = hidden_in(tmp_path)
        assert stat.S_IMODE((tmp_path / hidden).stat().st_mode) == 0o600


def old_status(file: Path, *, uid: int = 0, gid: int = 0) -> os.stat_result:
    """Return the status of a file as if it had another owner and group."""
    values = list(file.stat())
    values[stat.ST_UID] += uid
    values[stat.ST_GID] += gid
    return os.stat_result(values)


def test_the_owner_and_the_group_are_handed_down_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "fchown", lambda _, *ids: given.append(ids))
    (tmp_path / "new").touch()
    (tmp_path / "new").chmod(0o664)
    mine = (tmp_path / "new").stat()
    with (tmp_path / "new").open() as file:
        assert take_over(file.fileno(), old_status(tmp_path / "new", uid=1, gid=2)) == 0o664
    assert given == [(mine.st_uid + 1, -1), (-1, mine.st_gid + 2)]


@pytest.mark.parametrize(("old", "new"), [(0o660, 0o600), (0o664, 0o644), (0o640, 0o600)])
def test_a_group_that_is_another_may_do_no_more_than_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int, new: int
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    (tmp_path / "new").touch()
    (tmp_path / "new").chmod(old)
    with (tmp_path / "new").open() as file:
        assert take_over(file.fileno(), old_status(tmp_path / "new", uid=1, gid=1)) == new
        assert take_over(file.fileno(), old_status(tmp_path / "new", uid=1)) == old


# How much, and how many.


@both_ways
@pytest.mark.parametrize("size", [1001, 10**3000])
def test_an_upload_that_announces_too_much_is_refused_at_once(
    files: Files, tmp_path: Path, size: int
) -> None:
    with closing(Session(files=files)) as session:
        [answer] = ask(session, frame(PUT, 1, b"x"), meta("x", size))
        assert error_of(answer) == 5
        assert len(answer[2]) < 100
        assert ask(session, *pieces(b"new"), end(DIGEST)) == []
        assert ask(session, frame(ECHO, 2)) == [(ECHO + 128, 2, b"")]
        assert ask(session, upload("x", bytes(1000))) == [accepted("x", bytes(1000))]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def begin(files: Files) -> tuple[Session, list[Frame]]:
    """Begin an upload; return its session and what it was answered."""
    session = Session(files=files)
    return session, ask(session, frame(PUT, 1, b"x"), meta("x", 3))


def break_the_rules(session: Session) -> None:
    assert error_of(ask(session, frame(ECHO, 1))[0]) == 14
    session.close()


WAYS_TO_END: list[Callable[[Session], object]] = [
    lambda session: session.close(),
    lambda session: ask(session, *pieces(b"new"), end(DIGEST)),
    lambda session: ask(session, *pieces(b"old"), end(DIGEST)),
    lambda session: ask(session, *pieces(b"too much")),
    break_the_rules,
]


@pytest.mark.parametrize("finish", WAYS_TO_END)
def test_one_upload_too_many_is_refused_until_another_has_ended(
    files: Files, finish: Callable[[Session], object]
) -> None:
    sessions, answers = zip(*(begin(files) for _ in range(3)), strict=True)
    assert answers[:2] == ([], [])
    [answer] = answers[2]
    assert error_of(answer) == 5
    finish(sessions[0])
    assert ask(sessions[2], *pieces(b"new"), end(DIGEST)) == []
    assert ask(sessions[2], upload("x", b"new")) == [accepted("x", b"new")]
    for session in sessions:
        session.close()


def test_an_upload_that_cannot_begin_takes_no_place(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with monkeypatch.context() as patched, closing(Session(files=files)) as session:
            patched.setattr(uploads, "HIDDEN_FLAGS", os.O_WRONLY)  # ENOENT
            patched.setattr(uploads, "UNNAMED_FLAGS", os.O_WRONLY)
            assert error_of(ask(session, frame(PUT, 1, b"x"))[0]) == 12
    session, answer = begin(files)
    assert answer == []
    session.close()


def test_places_are_counted_over_processes_and_a_killed_one_gives_its_own_back(
    files: Files,
) -> None:
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            os.close(done[1])
            kept = [begin(files) for _ in range(2)]
            os.write(ready[1], b"r" * sum(not answer for _, answer in kept))
            os.read(done[0], 1)
        os._exit(0)
    assert os.read(ready[0], 2) == b"rr"
    session, [answer] = begin(files)
    assert error_of(answer) == 5
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert ask(session, *pieces(b"new"), end(DIGEST), upload("x", b"new")) == [
        accepted("x", b"new")
    ]
    session.close()
    for descriptor in (*ready, *done):
        os.close(descriptor)


def test_without_a_bound_there_is_any_number_of_places() -> None:
    with closing(Places(0, "uploads")) as places:
        assert {places.take() for _ in range(1000)} == {-1}
