"""Files: only regular ones are read, and what is written is there whole or not at all.

A folder of results may have come from anybody, so a name in it may be a link to another's file, a
FIFO that never ends or a device. Reading opens without waiting and looks at what was opened, not
at what a name stood for a moment earlier. Writing makes a new file beside the old, under a name
that nobody can foresee, waits for the disk and renames: a link that had the name is replaced, never
followed, and a full disk or a signal leaves the old file as it was. A file that the user named on
the command line may be a FIFO or `/dev/stdout`: there is nothing to replace, and it is written to.
"""

from __future__ import annotations

__all__ = [
    "append_out",
    "locked",
    "names_in",
    "opened_regular",
    "own_folder",
    "read_regular",
    "replace_in",
    "replace_whole",
    "write_out",
]

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from reports.untrusted import MOST_BYTES, UntrustedError, for_terminal

PIECE_BYTES = 2**20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STREAMS = re.compile(r"/proc/\d+/fd/\d+")
_STANDARD = re.compile(r"/proc/self/fd/[0-2]")


@contextlib.contextmanager
def opened_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; UntrustedError when it is another kind, or OSError."""
    # Without O_NONBLOCK the open itself would wait for a FIFO's writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UntrustedError(f"{for_terminal(str(path))} is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_regular(path: Path, *, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a regular file's bytes; UntrustedError when it is another kind, or too long.

    OSError when it cannot be opened or read.
    """
    with opened_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        found = bytearray()
        # The size that the system gives may be wrong (/proc) or change meanwhile. In pieces, since
        # read() takes the memory for all that it may return beforehand.
        while max(size, len(found)) <= most_bytes and (piece := file.read(PIECE_BYTES)):
            found += piece
    if max(size, len(found)) > most_bytes:
        raise UntrustedError(f"{for_terminal(str(path))} is longer than {most_bytes:,} bytes")
    return bytes(found)


def replace_whole(path: Path, content: bytes | str) -> None:
    """Put `content` where `path` is, in place of whatever is there; OSError leaves that be."""
    with opened_folder(path.parent) as folder:
        replace_in(folder, path.name, content)


def replace_in(folder: int, name: str, content: bytes | str) -> None:
    """Do the same in a folder that is open, whatever has become of its path meanwhile."""
    beside = f".threadmill-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # The mode that any new file has: the umask takes from it what the user does not want.
    descriptor = os.open(beside, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_bytes(content))
            file.flush()
            os.fsync(descriptor)
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:  # also a signal's: nothing may be left behind
        os.unlink(beside, dir_fd=folder)
        raise
    os.fsync(folder)  # or the rename would not outlive a power cut


def write_out(path: Path, content: bytes | str) -> None:
    """Write a file that the user named: replaced whole, or written to when it is no file."""
    if not _is_stream(path):
        replace_whole(path, content)
        return
    # Without O_TRUNC: /dev/stdout may be a file that already has our own words in it.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_bytes(content))


def append_out(path: Path, content: bytes | str) -> None:
    """Append to a file that the environment named; a FIFO that nobody reads is an OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    os.set_blocking(descriptor, True)  # only the open was not to wait
    with os.fdopen(descriptor, "ab") as file:
        file.write(_bytes(content))


@contextlib.contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Give the descriptor of a folder."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def own_folder(path: Path) -> Iterator[int]:
    """Give the descriptor of a folder that is really there, made in place of a link or a file."""
    with opened_folder(path.parent) as parent:
        try:
            descriptor = os.open(path.name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                os.unlink(path.name, dir_fd=parent)
            os.mkdir(path.name, dir_fd=parent)
            descriptor = os.open(path.name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(folder: int) -> list[str]:
    """Return the names in a folder that is open."""
    return os.listdir(folder)  # a Path cannot stand for a descriptor


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others who ask for the same out of a folder: what is read is what will be replaced."""
    with opened_folder(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # given back when the descriptor is closed
        yield


def _is_stream(path: Path) -> bool:
    """Whether a path stands for something that is written to, not replaced.

    A stream of ours may be a regular file, but then its name is one of /proc or, as /dev/stdout,
    a link to one. Any other link is a file like others, whatever it leads to.
    """
    folder = path.parent.resolve()
    if _STREAMS.fullmatch(str(folder / path.name)):
        return True
    if path.is_symlink():
        return _STANDARD.fullmatch(str(path.readlink())) is not None
    return path.exists() and not path.is_file() and not path.is_dir()


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
