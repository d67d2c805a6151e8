"""Runs on disk: what is appended comes back, and what is wrong is said in a sentence."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.record import Run
from reports.store import FILE, RunFolder, Store, StoreError
from tests.hostile import ANY_JSON
from tests.runs import make_run, make_sample


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def folder(store: Store) -> RunFolder:
    return store.create(make_run())


def named(run_id: str, started: str = "2026-11-23T20:00:00+00:00") -> Run:
    return replace(make_run(), id=run_id, started=started)


def corrupt(folder: RunFolder, text: str) -> None:
    with (folder.path / FILE).open("a", encoding="utf-8") as file:
        file.write(text)


def test_trials_come_back_in_the_order_in_which_they_were_appended(folder: RunFolder) -> None:
    samples = [make_sample(block=block) for block in range(3)]
    for sample in samples:
        folder.append(sample)
    assert folder.read() == (make_run(), samples)
    assert folder.warnings == []


def test_a_trial_is_on_the_disk_when_append_returns(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    folder.append(make_sample())
    assert synced == [(folder.path / FILE).stat().st_size]


def test_latest_points_at_the_run_begun_last(store: Store, folder: RunFolder) -> None:
    latest = store.root.parent / "latest"
    assert latest.resolve() == folder.path.resolve()
    second = store.create(named("second"))
    assert latest.resolve() == second.path.resolve()
    assert not latest.readlink().is_absolute()


def test_open_without_a_name_gives_the_newest_run(store: Store) -> None:
    store.create(named("b", "2026-11-23T18:00:00+00:00"))
    store.create(named("a", "2026-11-23T19:00:00+00:00"))
    assert store.open().path.name == "a"
    assert store.ids() == ["b", "a"]


def test_a_torn_last_line_is_left_out_with_a_warning(folder: RunFolder) -> None:
    folder.append(make_sample())
    corrupt(folder, '{"type":"sample","schema":1,"ru')
    _, samples = folder.read()
    assert samples == [make_sample()]
    assert folder.warnings == [f"{folder.path / FILE} ends in half a line; that trial is left out"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2 cannot be read: it is not JSON"),
        ("[" * 100_000, "line 2 cannot be read: it is nested"),
        ('{"type":"sample","schema":1,"seconds":NaN}', "line 2 cannot be read: seconds is NaN"),
        ('{"seconds":1e400}', "line 2 cannot be read: seconds is 1e400"),
        ("[]", "line 2 cannot be read: it is not a record of type 'sample'"),
        ('{"type":"run"}', "line 2 cannot be read: it is not a record of type 'sample'"),
        (
            '{"type":"sample","schema":99}',
            "line 2 cannot be read: a newer version wrote it: schema 99",
        ),
        ('{"type":"sample","schema":1}', "line 2 cannot be read: .*missing"),
    ],
)
def test_an_unreadable_line_is_named_with_its_fault(
    folder: RunFolder, line: str, says: str
) -> None:
    corrupt(folder, line + "\n")
    with pytest.raises(StoreError, match=says):
        folder.read()


@pytest.mark.parametrize("content", [b"", b'{"type":"run"', b"\x00\xff\n", b"{}\n"])
def test_a_file_that_is_no_run_is_said_in_a_sentence(folder: RunFolder, content: bytes) -> None:
    (folder.path / FILE).write_bytes(content)
    with pytest.raises(StoreError, match=FILE):
        folder.read()


def test_there_is_no_run_yet(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run in"):
        store.open()


@pytest.mark.usefixtures("folder")
def test_the_nearest_id_is_proposed(store: Store) -> None:
    with pytest.raises(StoreError, match=f"did you mean '{make_run().id}'"):
        store.open("20261123-183001-standard")


@pytest.mark.usefixtures("folder")
def test_an_id_that_is_far_from_all_is_answered_by_the_newest(store: Store) -> None:
    with pytest.raises(StoreError, match=f"the newest is '{make_run().id}'"):
        store.open("mine")


def test_runs_that_begin_in_one_second_each_have_a_folder_in_their_order(store: Store) -> None:
    folders = [store.create(make_run()) for _ in range(11)]
    ids = [folder.path.name for folder in folders]
    assert ids == [make_run().id, *(f"{make_run().id}-{number}" for number in range(2, 12))]
    assert [folder.read()[0].id for folder in folders] == ids
    assert store.ids() == ids
    assert store.open().path == folders[-1].path


def _create(root: Path, beginning: Barrier) -> None:
    beginning.wait()
    for _ in range(10):
        Store(root).create(make_run())


def test_of_runs_that_two_processes_begin_at_once_none_is_lost(store: Store) -> None:
    context = get_context("spawn")
    beginning = context.Barrier(2)
    both = [context.Process(target=_create, args=(store.root, beginning)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(store.ids()) == 20
    assert {RunFolder(store.root / name).read()[0].id for name in store.ids()} == {*store.ids()}
    assert store.open().path.name in store.ids()
    assert [path.name for path in store.root.parent.iterdir() if path.name[0] == "."] == []


def test_what_an_earlier_process_left_of_the_link_is_no_hindrance(store: Store) -> None:
    store.root.parent.mkdir(exist_ok=True)
    (store.root.parent / f".latest-{os.getpid()}").symlink_to("nowhere")
    store.create(make_run())


# Clocks that are wrong.


def test_the_run_begun_last_is_the_newest_also_when_the_clock_was_put_back(store: Store) -> None:
    store.create(named("a", "2026-11-23T19:00:00+00:00"))
    store.create(named("b", "2026-11-23T18:00:00+00:00"))
    assert store.open().path.name == "b"


def test_without_the_link_a_run_from_the_future_is_not_the_newest(store: Store) -> None:
    for name, started in (
        ("now", "2026-11-23T18:00:00+00:00"),
        ("wrong", "2031-01-01T00:00:00+00:00"),
        ("before", "2026-11-23T17:00:00"),  # no offset is UTC
    ):
        store.create(named(name, started))
    (store.root.parent / "latest").unlink()
    store = Store(store.root, now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    assert store.ids() == ["wrong", "before", "now"]
    assert store.open().path.name == "now"


def test_a_link_that_dangles_or_leads_elsewhere_is_not_followed(store: Store) -> None:
    store.create(named("a"))
    for target in ("nowhere", "/", "runs"):
        (store.root.parent / "latest").unlink()
        (store.root.parent / "latest").symlink_to(target)
        assert store.open().path == store.root / "a"


# Neighbours that are no runs.


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def make_long(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def make_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_timeless(path: Path) -> None:
    path.write_text('{"started": "\\u001b[2J"}\n')


BAD = (make_fifo, make_folder, make_deep, make_long, make_endless, make_timeless)


@pytest.mark.parametrize("make", BAD, ids=lambda make: str(make.__name__))
def test_a_bad_neighbour_is_left_out_and_said(
    store: Store, folder: RunFolder, make: Callable[[Path], None]
) -> None:
    (store.root / "bad").mkdir()
    make(store.root / "bad" / FILE)
    (store.root.parent / "latest").unlink()  # or nobody would look at the neighbours at all
    assert store.open().path == folder.path
    assert store.open(folder.path.name).path == folder.path
    assert store.ids() == [folder.path.name]
    (warning,) = store.warnings
    assert warning.startswith(f"{store.root / 'bad'} is left out: ")
    assert warning.isprintable()


@pytest.mark.parametrize("make", BAD, ids=lambda make: str(make.__name__))
def test_a_bad_run_itself_is_one_sentence(folder: RunFolder, make: Callable[[Path], None]) -> None:
    (folder.path / FILE).unlink()
    make(folder.path / FILE)
    with pytest.raises(StoreError, match=FILE) as caught:
        folder.read()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["..", ".", "", "../runs/a", "/", "a/../a", "\0"])
def test_a_run_is_named_and_not_given_as_a_path(store: Store, name: str) -> None:
    store.create(named("a"))
    with pytest.raises(StoreError, match="there is no run"):
        store.open(name)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_run_or_one_sentence(content: bytes) -> None:
    with TemporaryDirectory() as root:
        folder = RunFolder(Path(root, "runs", "a"))
        folder.path.mkdir(parents=True)
        first = json.dumps(make_run().to_json()).encode()
        for written in (content + b"\n", first + b"\n" + content + b"\n"):
            (folder.path / FILE).write_bytes(written)
            with contextlib.suppress(StoreError):
                folder.read()
            Store(folder.path.parent).ids()


def test_a_full_disk_is_a_sentence_and_spoils_nothing(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.append(make_sample())
    before = (folder.path / FILE).read_bytes()

    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            StoreError, match=r"cannot store a result in .*: No space left on device"
        ):
            folder.append(make_sample(block=1))
    assert (folder.path / FILE).read_bytes() == before
    folder.append(make_sample(block=1))
    assert len(folder.read()[1]) == 2


def test_a_file_that_the_system_lets_grow_no_further_is_a_sentence(folder: RunFolder) -> None:
    before = (folder.path / FILE).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            folder.append(make_sample())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder.path / FILE).read_bytes() == before


def test_a_link_in_place_of_the_file_is_not_written_through(
    folder: RunFolder, tmp_path: Path
) -> None:
    (folder.path / FILE).rename(tmp_path / "victim")
    (folder.path / FILE).symlink_to(tmp_path / "victim")
    before = (tmp_path / "victim").read_bytes()
    with pytest.raises(StoreError, match="symbolic link"):
        folder.append(make_sample())
    assert (tmp_path / "victim").read_bytes() == before
