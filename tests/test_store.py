"""Runs on disk: what is appended comes back, and what is wrong is said in a sentence."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from reports.record import Run
from reports.store import FILE, RunFolder, Store, StoreError
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
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 is not a record of type 'sample'"),
        ('{"type":"run"}', "line 2 is not a record of type 'sample'"),
        ('{"type":"sample","schema":99}', "line 2 cannot be read: schema 99, this version reads 1"),
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
    with pytest.raises(StoreError, match=f"the nearest is '{make_run().id}'"):
        store.open("20261123-183001-standard")


@pytest.mark.usefixtures("folder")
def test_a_run_is_never_overwritten(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot create the run"):
        store.create(make_run())


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


def test_a_disk_that_is_really_full_is_a_sentence(folder: RunFolder) -> None:
    (folder.path / FILE).unlink()
    (folder.path / FILE).symlink_to("/dev/full")
    with pytest.raises(StoreError, match="No space left on device"):
        folder.append(make_sample())
