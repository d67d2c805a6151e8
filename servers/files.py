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
    What arrives is written to a file without a name (O_TMPFILE), so that nothing is left of it
    whatever ends the transfer, the server's own death included. Verified and synced, it is given
    a hidden name and renamed over its target: a reader has the old file or the whole new one.
    A file system that knows no O_TMPFILE gets a file with a hidden name from the start.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from hashlib import sha256
from io import FileIO
from stat import S_ISLNK, S_ISREG

from servers.protocol import (
    DATA,
    DATA_BYTES,
    END,
    ERROR,
    META,
    BodyError,
    ChangedError,
    DigestError,
    LimitError,
    NameRefusedError,
    NotFileError,
    NotFoundError,
    SizeError,
    StateError,
    StorageError,
    frame,
    json_body,
    pack_header,
)
from servers.service import SendFile, Wait

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from servers.service import Step

    Key = tuple[int, int, int, int]

NAME_BYTES = 255
HIDDEN = b".threadmill-"
"""How the names of files begin that are not in their place yet."""
MOST_DIGESTS = 1024
"""Remembered digests, some 400 B each. When there are more, all are forgotten and found anew."""

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
UNNAMED_FLAGS = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
HIDDEN_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR}
"""What open() says where there is no O_TMPFILE: the file system, or the kernel."""
REFUSED = {
    errno.ENOENT: (NotFoundError, "There is no file of this name."),
    errno.ELOOP: (NameRefusedError, "A symbolic link is not followed."),
    errno.ENXIO: (NotFileError, "This is a socket, or a device."),
    errno.ENODEV: (NotFileError, "This is a device."),
}
"""What open() may say of a name; anything else is the file system's trouble."""

TURN = Wait(0)


class Files:
    """The regular files right under one directory."""

    def __init__(self, root: str, limit: int) -> None:
        """Open the directory; OSError when that cannot be. A LIST has at most `limit` bytes."""
        self.root = os.open(root, ROOT_FLAGS)
        self._limit = limit
        self._digests: dict[Key, str] = {}

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
        with suppress(FileNotFoundError):
            mode = os.stat(body, dir_fd=self.root, follow_symlinks=False).st_mode
            if S_ISLNK(mode):
                raise NameRefusedError("A symbolic link is not replaced.")
            if not S_ISREG(mode):
                raise NotFileError("What has this name is not a regular file.")
        return Upload(self, name)


class Upload:
    """A file that is arriving. OSError from any method is the file system's trouble."""

    def __init__(self, files: Files, name: str) -> None:
        self._files = files
        self._name = name
        self._size = -1  # as META says, once it has come
        self._received = 0
        self._hashed = sha256()
        self._hidden = b""  # the name it has for now, if any
        try:
            self._descriptor = os.open(b".", UNNAMED_FLAGS, 0o666, dir_fd=files.root)
        except OSError as error:
            if error.errno not in NO_UNNAMED:
                raise
            self._hidden = hidden_name()
            self._descriptor = os.open(self._hidden, HIDDEN_FLAGS, 0o666, dir_fd=files.root)

    def meta(self, body: bytes) -> None:
        """Learn what is to come."""
        if self._size >= 0:
            raise StateError("META has come already.")
        name, size = values_of(body, "name", "size")
        if type(size) is not int or size < 0:
            raise BodyError("META must say the size in bytes.")
        if name != self._name:
            raise NameRefusedError("META and PUT must say the same name.")
        self._size = size

    def data(self, body: bytes) -> None:
        """Write a piece."""
        if self._size < 0:
            raise StateError("META must come before DATA.")
        self._received += len(body)
        if self._received > self._size:
            raise SizeError(f"META announced {self._size} bytes, and more have come.")
        self._hashed.update(body)
        left = memoryview(body)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def end(self, body: bytes) -> bytes:
        """Verify what has come and put it in its place; return the answer's body."""
        if self._size < 0:
            raise StateError("META must come before END.")
        (wanted,) = values_of(body, "sha256")
        if self._received < self._size:
            raise SizeError(f"META announced {self._size} bytes, and {self._received} have come.")
        digest = self._hashed.hexdigest()
        if digest != wanted:
            raise DigestError(f"The digest of what has come is {digest}.")
        root = self._files.root
        os.fsync(self._descriptor)
        if not self._hidden:
            self._link()
        os.rename(self._hidden, self._name.encode(), src_dir_fd=root, dst_dir_fd=root)
        self._hidden = b""
        os.fsync(root)
        self._files.remember(key_of(os.fstat(self._descriptor)), digest)
        return json_body({"name": self._name, "size": self._size, "sha256": digest})

    def _link(self) -> None:
        """Give the file a name; rename() needs one, and link() does not replace the old file."""
        hidden = hidden_name()
        os.link(f"/proc/self/fd/{self._descriptor}", hidden, dst_dir_fd=self._files.root)
        self._hidden = hidden

    def close(self) -> None:
        """Let go of the file; nothing is left of it unless it is in its place."""
        os.close(self._descriptor)
        if self._hidden:
            with suppress(FileNotFoundError):
                os.unlink(self._hidden, dir_fd=self._files.root)


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


def values_of(body: bytes, *keys: str) -> tuple[object, ...]:
    """Return the values of `keys` in a JSON object."""
    try:
        values = json.loads(body)
        return tuple(values[key] for key in keys)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BodyError(f"The body must be a JSON object with {' and '.join(keys)}.") from None


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


def hidden_name() -> bytes:
    """Return a name that nothing has."""
    return HIDDEN + os.urandom(8).hex().encode()
