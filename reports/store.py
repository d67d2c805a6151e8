"""Runs on disk: append-only JSON lines, so that a crash loses at most the trial under way.

A run is a folder `<root>/<run id>/` with one `run.jsonl`: the Run first, then one Sample per
line, each flushed to the disk before the next trial starts. `<root>/../latest` points at the
run begun last. Whatever a reader finds wrong is one sentence for the user (StoreError); only a
last line cut off by a crash is no more than a warning, since all before it is still good.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from reports.record import Record, RecordError, Run, Sample

FILE = "run.jsonl"

_Record = TypeVar("_Record", bound=Record)


class StoreError(Exception):
    """A run that cannot be written, found or read; the message is a sentence for the user."""


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError that says what was being done."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        raise StoreError(f"cannot {doing}: {reason}{where}") from error


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []  # what the last `read` had to leave out, in sentences

    def append(self, record: Record) -> None:
        """Write one more line, and return once it is on the disk."""
        text = json.dumps(record.to_json(), allow_nan=False, separators=(",", ":")) + "\n"
        with disk_errors(f"store a result in {self.path}"):
            append_whole(self.path / FILE, text.encode())

    def read(self) -> tuple[Run, list[Sample]]:
        """Return the run and its trials; a torn last line is left out and noted in `warnings`."""
        self.warnings = []
        path = self.path / FILE
        with disk_errors(f"read {path}"):
            lines = path.read_bytes().split(b"\n")
        # Every whole line ends in a newline, so what follows the last one was cut off.
        torn = lines.pop()
        if not lines:
            raise StoreError(f"{path} holds no whole record: the run never began")
        if torn:
            self.warnings.append(f"{path} ends in half a line; that trial is left out")
        run = self._parse(1, lines[0], Run)
        return run, [self._parse(number, line, Sample) for number, line in enumerate(lines[1:], 2)]

    def _parse(self, number: int, line: bytes, kind: type[_Record]) -> _Record:
        where = f"{self.path / FILE}, line {number}"
        try:
            values: Any = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{where} is not JSON: {error}") from error
        expected = kind.__name__.lower()
        if not isinstance(values, dict) or values.get("type") != expected:
            raise StoreError(f"{where} is not a record of type {expected!r}")
        try:
            return kind.from_json(values)
        except RecordError as error:
            raise StoreError(f"{where} cannot be read: {error}") from error


class Store:
    """The folder that holds the runs."""

    def __init__(self, root: Path = Path("reports/runs")) -> None:
        self.root = root

    def create(self, run: Run) -> RunFolder:
        """Make the run's folder, write its first line and point `latest` at it."""
        folder = RunFolder(self.root / run.id)
        with disk_errors(f"create the run {run.id}"):
            folder.path.mkdir(parents=True)
        folder.append(run)
        with disk_errors("point `latest` at the run"):
            self._point_latest_at(folder.path)
        return folder

    def open(self, run_id: str | None = None) -> RunFolder:
        """Return the folder of a run, the newest when none is named."""
        ids = self.ids()
        if not ids:
            raise StoreError(f"there is no run in {self.root} yet; `make bench` makes one")
        if run_id is None:
            return RunFolder(self.root / ids[-1])
        if run_id not in ids:
            near = get_close_matches(run_id, ids, n=1, cutoff=0.0)[0]
            raise StoreError(f"there is no run {run_id!r} in {self.root}; the nearest is {near!r}")
        return RunFolder(self.root / run_id)

    def ids(self) -> list[str]:
        """Return the ids of all stored runs, oldest first."""
        with disk_errors(f"list the runs in {self.root}"):
            files = sorted(self.root.glob(f"*/{FILE}"), key=_begun)
        return [file.parent.name for file in files]

    def _point_latest_at(self, path: Path) -> None:
        """Replace the link in one step, so that it never dangles in between."""
        link = self.root.parent / "latest"
        fresh = link.with_name(f".latest-{os.getpid()}")
        fresh.symlink_to(os.path.relpath(path, link.parent))
        fresh.replace(link)


def append_whole(path: Path, line: bytes) -> None:
    """Append `line` and wait for the disk, or raise OSError and leave the file as it was.

    Half a line, left by a full disk, would otherwise spoil the next one appended after it.
    """
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                file.truncate(end)
            raise


def _begun(file: Path) -> tuple[str, str]:
    """Return the order of a run: when its first line says that it started, then its id.

    The modification time would not do: a copied or resumed folder changes it.
    """
    with file.open("rb") as lines:
        first = lines.readline()
    try:
        started = str(json.loads(first)["started"])
    except (ValueError, TypeError, KeyError):
        started = ""  # unreadable runs sort first, and say why when they are opened
    return started, file.parent.name
