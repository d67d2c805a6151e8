"""Runs on disk: append-only JSON lines, so that a crash loses at most the trial under way.

A run is a folder `<root>/<run id>/` with one `run.jsonl`: the Run first, then one Sample per
line, each flushed to the disk before the next trial starts. `<root>/../latest` points at the
run begun last, which is what counts when none is named: a clock may have been wrong, and the runs
of another machine may lie beside ours. Whatever a reader finds wrong is one sentence for the user
(StoreError); only a last line cut off by a crash is no more than a warning, since all before it is
still good, and so is a neighbour that is no run.
"""

from __future__ import annotations

__all__ = [
    "FILE",
    "LATEST",
    "MOST_LINE_BYTES",
    "MOST_RUN_BYTES",
    "RunFolder",
    "Store",
    "StoreError",
    "append_whole",
    "disk_errors",
    "figure_errors",
]

import contextlib
import dataclasses
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from reports.files import opened_regular, read_regular
from reports.nearest import proposal
from reports.record import Record, RecordError, Run, Sample
from reports.untrusted import UntrustedError, quoted, read_json, take

FILE = "run.jsonl"
LATEST = "latest"
MOST_RUN_BYTES, MOST_LINE_BYTES = 2**30, 16 * 2**20
"""Of a run and of one of its lines: 100 times what a run of all models takes."""

_Record = TypeVar("_Record", bound=Record)


class StoreError(Exception):
    """A run that cannot be written, found or read; the message is a sentence for the user."""

    @property
    def exit_code(self) -> int:
        """3 when the disk refused or a file is broken, 2 when the user asked for what is not there.

        Only the former two have another error behind them.
        """
        return 3 if self.__cause__ else 2


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError that says what was being done.

    Likewise what a file turns out to be, or to hold.
    """
    try:
        yield
    except UntrustedError as error:
        raise StoreError(f"cannot {doing}: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        raise StoreError(f"cannot {doing}: {reason}{where}") from error


@contextlib.contextmanager
def figure_errors(path: Path) -> Iterator[None]:
    """Turn what cannot be computed or drawn of a run's figures into a StoreError.

    Each field is in its range, but a foreign run may have figures that no trial gives together.
    """
    try:
        yield
    except (ValueError, ArithmeticError) as error:
        raise StoreError(f"{path} has figures that cannot be shown: {error}") from error


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

    def read(self, *, references: bool = False) -> tuple[Run, list[Sample]]:
        """Return the run and its trials; a torn last line is left out and noted in `warnings`.

        Those of the null server are no model's, and come only where they are asked for.
        """
        self.warnings = []
        path = self.path / FILE
        with disk_errors(f"read {path}"):
            lines = read_regular(path, most_bytes=MOST_RUN_BYTES).split(b"\n")
        # Every whole line ends in a newline, so what follows the last one was cut off.
        torn = lines.pop()
        if not lines:
            raise StoreError(f"{path} holds no whole record: the run never began")
        if torn:
            self.warnings.append(f"{path} ends in half a line; that trial is left out")
        run = self._parse(1, lines[0], Run)
        samples = [self._parse(number, line, Sample) for number, line in enumerate(lines[1:], 2)]
        return run, [each for each in samples if references or not each.cell.is_reference]

    def _parse(self, number: int, line: bytes, kind: type[_Record]) -> _Record:
        where = f"{self.path / FILE}, line {number}"
        try:
            return _record(line, kind)
        except (UntrustedError, RecordError) as error:
            raise StoreError(f"{where} cannot be read: {error}") from error


class Store:
    """The folder that holds the runs."""

    def __init__(
        self,
        root: Path = Path("reports/runs"),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.root = root
        self.warnings: list[str] = []  # the neighbours that the last `ids` left out, in sentences
        self._now = now

    def create(self, run: Run) -> RunFolder:
        """Make the run's folder, write its first line and point `latest` at it.

        Ids tell seconds apart. A run that begins in the same one as another gets a number.
        """
        with disk_errors(f"create the run {run.id}"):
            self.root.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                begun = dataclasses.replace(run, id=f"{run.id}-{number}") if number > 1 else run
                folder = RunFolder(self.root / begun.id)
                # One of two that ask at once is told that it is there.
                with contextlib.suppress(FileExistsError):
                    folder.path.mkdir()
                    break
        folder.append(begun)
        with disk_errors("point `latest` at the run"):
            self._point_latest_at(folder.path)
        return folder

    def open(self, run_id: str | None = None) -> RunFolder:
        """Return the folder of a run, of the one begun last when none is named, or `latest`."""
        if run_id is None or run_id == LATEST:
            name = self._latest() or next(reversed(self.ids()), None)
            if name is None:
                raise StoreError(f"there is no run in {self.root} yet; `make bench` makes one")
            return RunFolder(self.root / name)
        # Neither the neighbours nor what is in it matter to a run that is there.
        if run_id == Path(run_id).name and (self.root / run_id / FILE).exists():
            return RunFolder(self.root / run_id)
        ids = self.ids()
        if not ids:
            raise StoreError(f"there is no run in {self.root} yet; `make bench` makes one")
        hint = proposal(run_id, ids, f"the newest is {ids[-1]!r}")
        raise StoreError(f"there is no run {run_id!r} in {self.root}; {hint}")

    def ids(self) -> list[str]:
        """Return the ids of all stored runs that can be read, oldest first.

        A start that is still to come is a wrong clock's, or made up: such a run is not the newest.
        """
        now, begun = self._now(), []
        self.warnings = []
        with disk_errors(f"list the runs in {self.root}"):
            files = sorted(self.root.glob(f"*/{FILE}"))
        for file in files:
            try:
                started = _begun(file)
            except (OSError, UntrustedError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                self.warnings.append(f"{file.parent} is left out: {reason}")
            else:
                begun.append((started <= now, started, _numbered(file.parent.name)))
        return [name for *_, (_, _, name) in sorted(begun)]

    def _latest(self) -> str | None:
        """Return the run that `latest` points at, when it is one of these."""
        try:
            target = (self.root.parent / "latest").resolve(strict=True)
        except OSError:  # there is none yet, or it dangles, because somebody removed the run
            return None
        ours = target.parent == self.root.resolve() and (target / FILE).is_file()
        return target.name if ours else None

    def _point_latest_at(self, path: Path) -> None:
        """Replace the link in one step, so that it never dangles in between."""
        link = self.root.parent / "latest"
        fresh = link.with_name(f".latest-{secrets.token_hex(8)}")
        fresh.symlink_to(os.path.relpath(path, link.parent))
        try:
            fresh.replace(link)
        except OSError:
            fresh.unlink()
            raise


def _record(line: bytes, kind: type[_Record]) -> _Record:
    values = read_json(line, most_bytes=MOST_LINE_BYTES)
    expected = kind.__name__.lower()
    if not isinstance(values, dict) or values.get("type") != expected:
        raise RecordError(f"it is not a record of type {expected!r}")
    return kind.from_json(values)


def append_whole(path: Path, line: bytes) -> None:
    """Append `line` and wait for the disk, or raise OSError and leave the file as it was.

    Half a line, left by a full disk, would otherwise spoil the next one appended after it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0) as file:
        end = file.tell()
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                file.truncate(end)
            raise


def _begun(file: Path) -> datetime:
    """Return when a run says, in its first line, that it started; UntrustedError or OSError.

    The modification time would not do: a copied or resumed folder changes it.
    """
    with opened_regular(file) as lines:
        first = lines.readline(MOST_LINE_BYTES + 1)
    started = take(read_json(first, most_bytes=MOST_LINE_BYTES), "started", str)
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        raise UntrustedError(f"started is {quoted(started)}, which is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _numbered(name: str) -> tuple[str, int, str]:
    """Return the order of ids of the same second: the tenth comes after the ninth."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number), name) if number.isdecimal() and len(number) < 9 else (name, 1, name)
