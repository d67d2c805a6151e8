"""A connection over which the conductor and its part on a host exchange JSON lines.

Nothing crosses it while a window is open: the kernel's own looks at whether the other side is
still there (keep-alives) are switched off for so long, and a time is agreed on after which a silent
peer counts as lost. At all other times a peer that is gone without a word, because its host is or a
cable was pulled, is noticed within LOST_SECONDS.
"""

from __future__ import annotations

__all__ = ["LOST_SECONDS", "Channel", "LostError"]

import contextlib
import json
import socket
from typing import Any

IDLE_SECONDS, AGAIN_SECONDS, LOOKS = 2, 1, 2
LOST_SECONDS = IDLE_SECONDS + AGAIN_SECONDS * LOOKS
MOST_LINE_BYTES = 64 * 2**20
"""A tally of 1,024 intervals with a histogram each is far below."""


class LostError(ConnectionError):
    """The other side has gone, or says nothing; the message is the end of a sentence."""


class Channel:
    """Lines of JSON over a TCP connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, AGAIN_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, LOOKS)
        # For what was sent and is not acknowledged, the kernel would try for a quarter of an hour.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_SECONDS * 1000)
        self.hush(False)
        self._lines = connection.makefile("rb")
        self.sent_bytes = self.received_bytes = 0  # what control costs: docs/cluster.md

    @property
    def own_address(self) -> str:
        """The address of this side."""
        return str(self.socket.getsockname()[0])

    def hush(self, quiet: bool = True) -> None:
        """Have the kernel send nothing of its own while a window is open, or again."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, not quiet)

    def send(self, value: object) -> None:
        """Send a value; LostError when there is nobody any more."""
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self.sent_bytes += len(line)
        try:
            self.socket.sendall(line)
        except OSError as error:
            raise LostError(f"is gone ({error.strerror or error})") from error

    def receive(self, seconds: float | None = None) -> Any:
        """Sleep until a value comes; LostError when none does within `seconds`."""
        try:
            self.socket.settimeout(seconds)
            line = self._lines.readline(MOST_LINE_BYTES)
        except TimeoutError:
            raise LostError(f"has said nothing for {seconds:.3g} s") from None
        except OSError as error:
            raise LostError(f"is gone ({error.strerror or error})") from error
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(None)
        if not line.endswith(b"\n"):
            raise LostError("has closed its connection")
        self.received_bytes += len(line)
        return json.loads(line)

    def close(self) -> None:
        """Close the connection, which ends the other side."""
        self._lines.close()
        self.socket.close()
