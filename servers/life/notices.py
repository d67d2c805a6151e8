"""What a server says on standard error while it serves: a line per event, or per episode."""

from __future__ import annotations

import os
from time import monotonic

STDERR = 2
QUIET_SECONDS = 3.0
"""How long nothing must happen for an episode to be over; asyncio tries again after a second."""


def say(sentence: str) -> None:
    """Write one line, in one call, so that threads and processes do not mix theirs."""
    os.write(STDERR, f"threadmill: {sentence}\n".encode())


class Episode:
    """Says the first of a row of like events and keeps quiet about the others."""

    def __init__(self) -> None:
        self._last = -QUIET_SECONDS

    def say(self, sentence: str) -> None:
        """Say it, unless the last such event was just before."""
        now = monotonic()
        began = now - self._last >= QUIET_SECONDS
        self._last = now
        if began:
            say(sentence)
