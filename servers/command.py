"""What has come of one command that a server runs for a peer, as frames; nothing runs in here.

Whoever runs it hands over what it writes and how it ends. What a command may have is bounded: its
time, its output, what it complains of on standard error. Beyond the first two it is killed, and the
last line of `stderr` in the answer says so.

A DATA without bytes is a beat. A peer that has closed its sending side may still read, and whether
it does shows only when something is sent: to one that has gone, the connection fails.
"""

from __future__ import annotations

__all__ = ["BEAT_SECONDS", "COMMAND_SECONDS", "PIECE_BYTES", "Command"]

import errno
import os
from hashlib import sha256

from servers.protocol import (
    ANSWER,
    DATA,
    ERROR,
    EXEC,
    CommandsBusyError,
    NoCommandError,
    RequestError,
    frame,
    json_body,
)

COMMAND_SECONDS = 10.0
"""How long a command may take; then it is killed, and what it has started with it."""
COMMAND_BYTES = 2**20
"""How much of its output is sent; a command that writes more is killed."""
COMPLAINT_BYTES = 16_384
"""How much of its standard error is told; the rest is thrown away."""
PIECE_BYTES = 65_536
"""How much of its output is read at a time: what the kernel's pipe holds."""
BEAT_SECONDS = 1.0
"""How long a peer hears nothing of a command that runs."""
CLOSING_BYTES = 256
"""What the last frame has beside the words on standard error."""
ESCAPED = 6
"""What a byte may become in JSON."""
KILLED = 128
"""What is added to the number of a signal where an exit code must be had: the shell's way."""
EXHAUSTED = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""What the kernel says when there is nothing wrong with the program."""


class Command:
    """What has come of one command so far."""

    def __init__(self, tag: int, limit: int, place: int = -1) -> None:
        self.piece_bytes = min(PIECE_BYTES, limit)
        """How much of its output may be handed over at a time."""
        self.is_full = False
        """Whether no more of its output is wanted: it is to be killed."""
        self._tag = tag
        self._place = place
        self._hashed = sha256()
        self._left = COMMAND_BYTES
        self._complaints = bytearray()
        self._most_complaints = min(COMPLAINT_BYTES, max(0, limit - CLOSING_BYTES) // ESCAPED)
        self._is_cut = False
        self._last_words = ""
        self._code = 0
        self._error: RequestError | None = None

    def output(self, data: bytes) -> bytes:
        """Return the frame to send for what it has written to standard output."""
        if len(data) > self._left:
            data = data[: self._left]
            self.is_full = self._is_cut = True
            self._last_words = f"threadmill: ended, for its output has {COMMAND_BYTES} bytes.\n"
        self._left -= len(data)
        self._hashed.update(data)
        return frame(DATA, self._tag, data)

    def beat(self) -> bytes:
        """Return the frame to send when it has written nothing for a while."""
        return frame(DATA, self._tag)

    def complaint(self, data: bytes) -> None:
        """Keep what it has written to standard error, as far as there is room."""
        room = self._most_complaints - len(self._complaints)
        self._complaints += data[:room]
        self._is_cut |= len(data) > room

    def late(self) -> None:
        """Note that it is being killed for its time; its place is free for another."""
        self._is_cut = True
        self._last_words = f"threadmill: ended after {COMMAND_SECONDS:g} s.\n"
        self.leave_place()

    def ended(self, code: int) -> None:
        """Note how it has ended, as subprocess says it: a signal is negative."""
        self._code = code

    def cannot_start(self, error: OSError) -> None:
        """Note that it never ran: the program's fault, or for want of processes or descriptors."""
        fault = CommandsBusyError if error.errno in EXHAUSTED else NoCommandError
        self._error = fault(f"The command cannot be started: {error.strerror}.")

    def last_frame(self) -> bytes:
        """Return the frame that ends the answer."""
        if self._error:
            return frame(ERROR, self._tag, self._error.body())
        number = max(0, -self._code)
        values = {
            "exit": KILLED + number if number else self._code,
            "signal": number,
            "stderr": self._complaints.decode("utf-8", "replace") + self._last_words,
            "cut": self._is_cut,
            "sha256": self._hashed.hexdigest(),
        }
        return frame(EXEC + ANSWER, self._tag, json_body(values))

    def leave_place(self) -> None:
        """Give its place to another."""
        if self._place >= 0:
            os.close(self._place)
            self._place = -1
