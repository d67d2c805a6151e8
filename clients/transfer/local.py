"""The files on this side: one that is read, and one that appears whole or not at all."""

from __future__ import annotations

__all__ = ["failing", "identity", "opened", "replaced", "replacing", "write"]

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from clients.transfer.errors import MachineError, UserError

PERMISSIONS = 0o777
_USERS_FAULT = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


@contextlib.contextmanager
def failing(path: Path) -> Iterator[None]:
    """Turn what befalls a file into an error of the user's or of the machine's."""
    try:
        yield
    except OSError as error:
        fault = UserError if isinstance(error, _USERS_FAULT) else MachineError
        raise fault(f"{path}: {error.strerror}.") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read; nothing but a file, and a FIFO's opening would wait."""
    with failing(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path} is not a file.")
        with path.open("rb") as file:
            yield file


def identity(status: os.stat_result) -> tuple[int, int]:
    """Return what changes when a file does."""
    return status.st_size, status.st_mtime_ns


def replaced(destination: Path) -> Path:
    """Return the file that `destination` stands for: a link stays, what it leads to is replaced."""
    with failing(destination):
        target = destination.resolve()
        if not target.parent.is_dir():
            raise UserError(f"There is no folder {target.parent}.")
        if target.exists() and not target.is_file():
            raise UserError(f"{destination} is not a file, so it cannot be replaced by one.")
    return target


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[FileIO]:
    """Give a new file that takes the place of `target` if all goes well, and else vanishes.

    It has the permissions of the file that it replaces, so that nobody else may read a secret one.
    """
    beside = target.with_name(f".threadmill-{secrets.token_hex(8)}.part")
    try:
        with failing(target):
            file = beside.open("xb", buffering=0)
        with file:
            with failing(target), contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), target.stat().st_mode & PERMISSIONS)
            yield file
            with failing(target):
                os.fsync(file.fileno())
        with failing(target):
            beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong before this is what is to be told
            beside.unlink()
        raise
    with failing(target):
        _sync_folder(target.parent)


def write(file: FileIO, data: bytes) -> None:
    """Write all of `data`; unbuffered, lest closing the file be what finds the disk full."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
