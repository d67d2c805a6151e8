"""Files that the reports read and write: only regular ones, whole or not at all, no links."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from multiprocessing import get_context
from pathlib import Path

import pytest

from bench.verbs import gate
from reports.files import (
    append_out,
    locked,
    own_folder,
    read_regular,
    replace_in,
    replace_whole,
    write_out,
)
from reports.untrusted import UntrustedError
from tests.verdicts import every_outcome, report

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Give a file that somebody else needs."""
    path = tmp_path / "victim"
    path.write_text("dear")
    return path


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    replace_whole(path, "new ≥")
    assert path.read_text() == "new ≥"
    assert names(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, victim: Path) -> None:
    for write in (replace_whole, write_out):
        link = tmp_path / write.__name__
        link.symlink_to(victim)
        write(link, "new")
        assert not link.is_symlink()
        assert (link.read_text(), victim.read_text()) == ("new", "dear")


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_number: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_whole(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_whole(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_fifo_that_the_user_named_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()))
    reader.start()
    write_out(fifo, "words")
    reader.join()
    assert read == ["words"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("redirected", [False, True])
def test_standard_output_is_written_to_also_where_it_is_a_file(
    tmp_path: Path, name: str, redirected: bool
) -> None:
    code = (
        "import sys; from pathlib import Path; from reports.files import write_out;"
        "print('before', flush=True); write_out(Path(sys.argv[1]), 'words')"
    )
    command = [sys.executable, "-c", code, name]
    if redirected:
        with (tmp_path / "out").open("w") as out:
            subprocess.run(command, cwd=ROOT, stdout=out, check=True)
        said = (tmp_path / "out").read_text()
    else:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said = done.stdout
    assert said == "before\nwords"


def test_a_link_that_leads_to_a_device_is_no_device(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    write_out(link, "words")
    assert link.read_text() == "words"


def test_a_regular_file_is_read_also_through_a_link(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "link").symlink_to(victim)
    assert read_regular(tmp_path / "link") == b"dear"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(UntrustedError, match="no regular file"):
            read_regular(path)


def test_a_file_beyond_the_bound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room
    with pytest.raises(UntrustedError, match="longer than"):
        read_regular(path)


def test_a_small_file_takes_no_memory_for_the_bound(victim: Path) -> None:
    tracemalloc.start()
    try:
        read_regular(victim, most_bytes=2**30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_file_whose_size_is_not_known_beforehand_is_bounded_as_well() -> None:
    with pytest.raises(UntrustedError, match="longer than 4 bytes"):
        read_regular(Path("/proc/self/status"), most_bytes=4)


def test_a_folder_is_made_in_place_of_a_link_to_another(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "charts").symlink_to(other)
    with own_folder(tmp_path / "charts") as folder:
        replace_in(folder, "file", b"")
    assert names(other) == []
    assert names(tmp_path / "charts") == ["file"]


def test_a_folder_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "kept").touch()
    with own_folder(tmp_path / "charts") as folder:
        assert os.fstat(folder).st_ino == (tmp_path / "charts").stat().st_ino
    assert names(tmp_path / "charts") == ["kept"]


def _append_numbers(path: Path, first: int) -> None:
    for number in range(first, first + 50):
        with locked(path.parent):
            replace_whole(path, path.read_bytes() + b"%d\n" % number)


def test_of_what_two_processes_add_under_the_lock_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    context = get_context("spawn")
    both = [context.Process(target=_append_numbers, args=(path, first)) for first in (0, 50)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert sorted(map(int, path.read_text().split())) == list(range(100))


def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device or address"):
        append_out(tmp_path / "fifo", "words")


def test_appending_keeps_what_is_there(victim: Path) -> None:
    append_out(victim, " words")
    assert victim.read_text() == "dear words"


@pytest.mark.parametrize("summary", ["fifo", "nowhere/summary.md", "."])
def test_a_steps_summary_that_cannot_be_written_changes_nothing_of_the_verdict(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    summary: str,
    victim: Path,
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "gate.json").symlink_to(victim)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / summary))
    gate._publish(report(*every_outcome()), {"json": tmp_path / "gate.json", "junit": None})
    assert "the summary of the step cannot be written" in capsys.readouterr().err
    assert json.loads((tmp_path / "gate.json").read_text())
    assert victim.read_text() == "dear"
