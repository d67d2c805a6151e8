"""The files under a root directory: sent, received and listed, with a bounded part in memory.

Names
    The root is opened once, and a name is one component in it: every file is opened relative to
    the root's descriptor with O_NOFOLLOW. So no name can lead out of it, and nobody who renames
    things at the same time can make one do so. Symlinks are refused wherever they lead, for that
    needs no second look. O_NONBLOCK keeps a FIFO from holding the server up; what has been opened
    must then prove to be a regular file.
GET
    A file whose digest is remembered is sent by the kernel (`SendFile`), the others are read and
    hashed on the way. Either way it goes in pieces with a `Wait(0)` after each, which lets the
    others on an event loop have their turn. What identifies the file, its size and its mtime are
    looked at before each piece and after the last: END is sent only when they have not moved.
    In between, a piece that the kernel finds to be short is the model's to notice.
PUT
    `servers/uploads.py`: a file has a name when it is whole, and no sooner.
"""

from __future__ import annotations

__all__ = ["Files"]

import errno
import os
from contextlib import suppress
from hashlib import sha256
from io import FileIO
from stat import S_ISREG

from servers.handing import Descriptor
from servers.places import Places
from servers.protocol import (
    DATA,
    DATA_BYTES,
    END,
    ERROR,
    META,
    BodyError,
    ChangedError,
    LimitError,
    NameRefusedError,
    NotFileError,
    NotFoundError,
    StorageError,
    frame,
    json_body,
    pack_header,
)
from servers.steps import TURN, SendFile
from servers.uploads import HIDDEN, Upload, replaceable, sweep

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from servers.steps import Step

    Key = tuple[int, int, int, int]

NAME_BYTES = 255
MOST_DIGESTS = 1024
"""Remembered digests, some 400 B each. When there are more, all are forgotten and found anew."""

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
REFUSED = {
    errno.ENOENT: (NotFoundError, "There is no file of this name."),
    errno.ELOOP: (NameRefusedError, "A symbolic link is not followed."),
    errno.ENXIO: (NotFileError, "This is a socket, or a device."),
    errno.ENODEV: (NotFileError, "This is a device."),
}
"""What open() may say of a name; anything else is the file system's trouble."""


class Files:
    """The regular files right under one directory."""

    def __init__(
        self, root: str, limit: int, most_upload_bytes: int = 0, uploads_at_once: int = 0
    ) -> None:
        """Open the directory and sweep it; OSError when that cannot be.

        A LIST has at most `limit` bytes; an upload `most_upload_bytes`, and there are at most
        `uploads_at_once` of them. 0: any number.
        """
        self.root = Descriptor(os.open(root, ROOT_FLAGS))
        sweep(self.root)
        self._limit = limit
        self._most_upload_bytes = most_upload_bytes
        self._places = Places(uploads_at_once, "uploads")
        self._digests: dict[Key, str] = {}

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.root)
        self._places.close()

    def remember(self, key: Key, digest: str) -> None:
        """Keep the digest of a file for as long as it is what `key` says."""
        if len(self._digests) >= MOST_DIGESTS:
            self._digests.clear()
        self._digests[key] = digest

    def listing(self) -> bytes:
        """Return the names and sizes of the files that can be asked for, as JSON."""
        sizes: dict[str, int] = {}
        # Opened anew: a descriptor has one position in the directory, whoever reads it.
        directory = os.open(b".", ROOT_FLAGS, dir_fd=self.root)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError, BodyError, NameRefusedError):
                        name = name_of(os.fsencode(entry.name))
                        status = entry.stat(follow_symlinks=False)
                        if S_ISREG(status.st_mode):
                            sizes[name] = status.st_size
        finally:
            os.close(directory)
        body = json_body([{"name": name, "size": sizes[name]} for name in sorted(sizes)])
        if len(body) > self._limit:
            raise LimitError(f"A list of {len(sizes)} files is over the limit of a body.")
        return body

    def get(self, tag: int, body: bytes) -> Generator[Step, None, None]:
        """Open a file, and return the steps that send it."""
        name = name_of(body)
        try:
            descriptor = os.open(body, READ_FLAGS, dir_fd=self.root)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            refusal, sentence = REFUSED[error.errno]
            raise refusal(sentence) from None
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotFileError("This is not a regular file.")
        return self._send(FileIO(descriptor), name, key_of(status), tag)

    def _send(self, file: FileIO, name: str, key: Key, tag: int) -> Generator[Step, None, None]:
        size = key[2]
        remembered = self._digests.get(key)
        hashed = sha256()
        ahead = frame(META, tag, json_body({"name": name, "size": size}))  # goes with what follows
        with file:
            try:
                for offset in range(0, size, DATA_BYTES):
                    count = min(DATA_BYTES, size - offset)
                    check_unchanged(file, key)
                    if remembered:
                        yield ahead + pack_header(count, DATA, 0, tag)
                        yield SendFile(file, offset, count)
                    else:
                        piece = read_piece(file, offset, count)
                        hashed.update(piece)
                        yield ahead + frame(DATA, tag, piece)
                    ahead = b""
                    yield TURN
                check_unchanged(file, key)
            except ChangedError as error:
                yield frame(ERROR, tag, error.body())
                return
            except OSError as error:
                yield frame(ERROR, tag, StorageError.of(error).body())
                return
        if not remembered:
            remembered = hashed.hexdigest()
            self.remember(key, remembered)
        yield ahead + frame(END, tag, json_body({"sha256": remembered}))

    def put(self, body: bytes) -> Upload:
        """Prepare to receive a file."""
        name = name_of(body)
        replaceable(self.root, body)
        return Upload(
            self.root,
            name,
            self._most_upload_bytes,
            self._places,
            lambda status, digest: self.remember(key_of(status), digest),
        )


def name_of(body: bytes) -> str:
    """Return the name that the body of a GET or PUT says, if a file under the root can have it."""
    try:
        name = body.decode()
    except UnicodeDecodeError:
        raise BodyError("A name must be UTF-8.") from None
    if not body or body in {b".", b".."} or b"/" in body or b"\0" in body:
        raise NameRefusedError("A name must be that of a file right under the root.")
    if len(body) > NAME_BYTES:
        raise NameRefusedError(f"A name may have {NAME_BYTES} bytes, not {len(body)}.")
    if body.startswith(HIDDEN):
        raise NameRefusedError(f"Names that begin with {HIDDEN.decode()} are the server's own.")
    return name


def key_of(status: os.stat_result) -> Key:
    """Return what stands for a file's contents as long as it stays the same."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def check_unchanged(file: FileIO, key: Key) -> None:
    """Raise ChangedError when the file is not what it was."""
    if key_of(os.fstat(file.fileno())) != key:
        raise ChangedError("The file changed while it was sent.")


def read_piece(file: FileIO, offset: int, count: int) -> bytes:
    """Return a piece of a file; ChangedError when it is no longer so long."""
    piece = os.pread(file.fileno(), count, offset)
    if len(piece) < count:
        raise ChangedError("The file became shorter while it was sent.")
    return piece
