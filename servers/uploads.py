"""Files on their way into a root: without a name until they are whole, and bounded in number.

A name only at the end
    What arrives is written to a file without a name (O_TMPFILE), of which nothing is left whatever
    ends the transfer, the server's own death included. Verified and synced, it is linked to its
    name if nothing has that yet. link() replaces nothing, so over an old file it gets a hidden
    name first and is renamed from there: a reader has the old file or the whole new one.
    A file system or an interpreter that knows no O_TMPFILE gets a file with a hidden name from the
    start.
Hidden names
    A server that is killed between link() and rename() leaves a hidden name, and no peer can list
    or remove that. So each file is locked before it is hidden (flock, which belongs to the open
    file and ends with its process, however that ends), and a server sweeps its root when it starts:
    a hidden file whose lock can be had is nobody's, one that is locked belongs to a neighbour.
Permissions
    A file that replaces another has its read, write and execute bits, and its owner and group as
    far as this server may give a file away. The group of a file that keeps the server's own may do
    no more than everybody: the bits were meant for another group. setuid, setgid and sticky bits,
    access lists and attributes do not carry over, for the contents are a stranger's.
"""

from __future__ import annotations

__all__ = ["HIDDEN", "Upload", "replaceable", "sweep"]

import errno
import fcntl
import json
import os
from contextlib import suppress
from hashlib import sha256
from stat import S_ISLNK, S_ISREG

from servers.places import NoPlace
from servers.protocol import (
    BodyError,
    DigestError,
    LimitError,
    NameRefusedError,
    NotFileError,
    SizeError,
    StateError,
    json_body,
)

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.places import Places

    Remember = Callable[[os.stat_result, str], None]

HIDDEN = b".threadmill-"
"""How the names of files begin that are not in their place yet."""
HIDDEN_DIGITS = 16
# PyPy does not know it: what is opened then is a directory, EISDIR.
UNNAMED_FLAGS = getattr(os, "O_TMPFILE", 0) | os.O_WRONLY | os.O_CLOEXEC
HIDDEN_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
SWEPT_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR}
"""What open() says where there is no O_TMPFILE: the file system, or the kernel."""
TRIES = 10
"""How often a sweep may be quicker to lock a hidden file than the server that has just made it."""
PERMISSIONS = 0o777
OWNER_READS = 0o400
OWNER_ONLY = 0o600
GROUP = 0o070
OTHERS = 0o007


class Upload:
    """A file that is arriving. OSError from any method is the file system's trouble."""

    def __init__(
        self, root: int, name: str, most_bytes: int, places: Places, remember: Remember
    ) -> None:
        self._root = root
        self._name = name
        self._most_bytes = most_bytes  # 0: any number
        self._remember = remember
        self._size = -1  # as META says, once it has come
        self._received = 0
        self._hashed = sha256()
        self._hidden = b""  # the name it has for now, if any
        try:
            self._place = places.take()
        except NoPlace as full:
            raise LimitError(str(full)) from None
        try:
            self._descriptor = self._create()
            # As the umask, or the directory, has it.
            self._of_a_new_file = os.fstat(self._descriptor).st_mode & PERMISSIONS
            self._permissions = self._of_a_new_file
            if self._hidden:  # whoever may not read the old file must not read this one, either
                self._permit(OWNER_ONLY)
        except OSError:
            self._leave_place()
            raise

    def _create(self) -> int:
        try:
            return os.open(b".", UNNAMED_FLAGS, 0o666, dir_fd=self._root)
        except OSError as error:
            if error.errno not in NO_UNNAMED:
                raise
        for _ in range(TRIES):
            hidden = hidden_name()
            descriptor = os.open(hidden, HIDDEN_FLAGS, 0o666, dir_fd=self._root)
            if lock(descriptor) and os.fstat(descriptor).st_nlink:
                self._hidden = hidden
                return descriptor
            os.close(descriptor)  # and the sweep removes it, or has done so
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def meta(self, body: bytes) -> None:
        """Learn what is to come."""
        if self._size >= 0:
            raise StateError("META has come already.")
        name, size = values_of(body, "name", "size")
        if type(size) is not int or size < 0:
            raise BodyError("META must say the size in bytes.")
        if name != self._name:
            raise NameRefusedError("META and PUT must say the same name.")
        if self._most_bytes and size > self._most_bytes:
            raise LimitError(f"An upload may have {self._most_bytes} bytes, and this has more.")
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
        os.fsync(self._descriptor)
        self._take_its_place()
        os.fsync(self._root)
        self._remember(os.fstat(self._descriptor), digest)
        return json_body({"name": self._name, "size": self._size, "sha256": digest})

    def _take_its_place(self) -> None:
        name = self._name.encode()
        old = replaceable(self._root, name)
        if old is None and not self._hidden:
            with suppress(FileExistsError):  # since a moment ago
                self._link(name)
                return
            old = replaceable(self._root, name)
        permissions = take_over(self._descriptor, old) if old else self._of_a_new_file
        # Under its hidden name it must be readable for a sweep, which is to see that it is locked.
        self._permit(permissions | OWNER_READS)
        if not self._hidden:
            lock(self._descriptor)
            hidden = hidden_name()
            self._link(hidden)
            self._hidden = hidden
        os.rename(self._hidden, name, src_dir_fd=self._root, dst_dir_fd=self._root)
        self._hidden = b""
        self._permit(permissions)

    def _permit(self, permissions: int) -> None:
        if permissions != self._permissions:
            os.fchmod(self._descriptor, permissions)
            self._permissions = permissions

    def _link(self, name: bytes) -> None:
        os.link(f"/proc/self/fd/{self._descriptor}", name, dst_dir_fd=self._root)

    def close(self) -> None:
        """Let go of the file; nothing is left of it unless it is in its place."""
        # What a failing file system says here has been said, or is about a file that is given up;
        # a hidden name that cannot be removed is swept when a server starts.
        with suppress(OSError):
            os.close(self._descriptor)
        if self._hidden:
            with suppress(OSError):
                os.unlink(self._hidden, dir_fd=self._root)
        self._leave_place()

    def _leave_place(self) -> None:
        if self._place >= 0:
            os.close(self._place)


def values_of(body: bytes, *keys: str) -> tuple[object, ...]:
    """Return the values of `keys` in a JSON object."""
    try:
        values = json.loads(body)
        return tuple(values[key] for key in keys)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BodyError(f"The body must be a JSON object with {' and '.join(keys)}.") from None


def replaceable(root: int, name: bytes) -> os.stat_result | None:
    """Return what is known of the file that an upload replaces, if there is one."""
    try:
        status = os.stat(name, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if S_ISLNK(status.st_mode):
        raise NameRefusedError("A symbolic link is not replaced.")
    if not S_ISREG(status.st_mode):
        raise NotFileError("What has this name is not a regular file.")
    return status


def take_over(descriptor: int, old: os.stat_result) -> int:
    """Give a file to the owner and the group of another; return the permissions it may have."""
    new = os.fstat(descriptor)
    permissions = old.st_mode & PERMISSIONS
    if old.st_uid != new.st_uid:
        with suppress(PermissionError):  # only root may give files away
            os.fchown(descriptor, old.st_uid, -1)
    if old.st_gid != new.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except PermissionError:
            permissions &= ~GROUP | (permissions & OTHERS) << 3
    return permissions


def hidden_name() -> bytes:
    """Return a name that nothing has."""
    return HIDDEN + os.urandom(HIDDEN_DIGITS // 2).hex().encode()


def is_hidden(name: bytes) -> bool:
    """Say whether hidden_name() may have returned this."""
    digits = name.removeprefix(HIDDEN)
    return len(digits) == HIDDEN_DIGITS == len(name) - len(HIDDEN) and not digits.strip(
        b"0123456789abcdef"
    )


def lock(descriptor: int) -> bool:
    """Lock a file for as long as it is open; False when another has locked it.

    Where files cannot be locked at all, no sweep can, either, and so it spares them.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sweep(root: int) -> None:
    """Remove the hidden files that servers have left that were killed, and no others."""
    for name in os.listdir(root):
        # What cannot be opened, locked or removed is not ours to remove, and harms nobody.
        with suppress(OSError):
            hidden = os.fsencode(name)
            if is_hidden(hidden):
                sweep_away(root, hidden)


def sweep_away(root: int, hidden: bytes) -> None:
    """Remove a hidden file unless somebody holds its lock."""
    descriptor = os.open(hidden, SWEPT_FLAGS, dir_fd=root)
    try:
        if S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(hidden, dir_fd=root)
    finally:
        os.close(descriptor)
