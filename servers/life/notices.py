"""What a server says on standard error while it serves: a line per event, or per episode.

Whoever reads the lines may have gone, or may not come for them: no word is worth an error or a
wait. So whoever says something has done first what there was to do, and a line that cannot be
written now is counted and dropped. With the next pulse that can, the count follows: "and 120 more".

Standard error stays blocking, for O_NONBLOCK would be set for all who share it: a shell, a bench.
poll() says of a pipe or a terminal whether it takes a page without blocking. Several processes and
threads may be told so of the same page; but that page has room for all the lines of a second.

Of those there are LINES_PER_SECOND over all processes, where a peer can cause lines at will: where
there are timeouts (`ration`). All else that is said is an episode, and rare.

select() is bound by name, before a model's library may put another in its place that waits in a
loop of its own: a signal handler speaks here, and has none.
"""

from __future__ import annotations

__all__ = ["Episode", "Ration", "StandardError", "have_standard_descriptors", "say", "voice"]

import os
from select import PIPE_BUF, select
from time import monotonic

from servers.life.counter import Counter

STDERR = 2
LINES_PER_SECOND = 20
LINE_BYTES = 200
"""At most; so the lines of a second are fewer than the 4,096 bytes that poll() has promised."""
RATION_SECONDS = 1.0
QUIET_SECONDS = 3.0
"""How long nothing must happen for an episode to be over; asyncio tries again after a second."""


class Ration:
    """The lines of a second for this process and all that it forks, in two counters.

    Each call on one is a single step for all who share it. A line needs a token. What became of
    it is added up for the process that renews the tokens: DROPPED for each that was not said.
    """

    TOKEN = 1
    DROPPED = 2**32

    def __init__(self) -> None:
        """OSError when there is no descriptor left."""
        self._tokens = Counter(LINES_PER_SECOND, semaphore=True)
        self._done = Counter()
        self._renewed = monotonic()
        self._owner = os.getpid()

    def take(self) -> bool:
        """Take a token, if one is left."""
        if not self._tokens.take():
            return False
        self._done.add(self.TOKEN)
        return True

    def drop(self) -> None:
        """Count a line that was not said."""
        self._done.add(self.DROPPED)

    def renew(self, at_once: bool) -> int:
        """Renew the tokens if their second is over; return how many lines were dropped in it."""
        now = monotonic()
        if os.getpid() != self._owner or (now - self._renewed < RATION_SECONDS and not at_once):
            return 0
        self._renewed = now
        dropped, taken = divmod(self._done.take(), self.DROPPED)
        self._tokens.add(taken)
        return dropped


class Voice:
    """Writes lines to standard error, as far as it takes them, and counts the others."""

    def __init__(self) -> None:
        self._ration: Ration | None = None
        self._dropped = 0

    def ration(self) -> None:
        """From now on, say no more than LINES_PER_SECOND."""
        self._ration = Ration()

    def say(self, sentence: str) -> None:
        """Write one line in one call, so that threads and processes do not mix theirs."""
        if self._ration is None:
            self._dropped += not written(sentence)
        elif not (self._ration.take() and written(sentence)):
            self._ration.drop()

    @property
    def shared(self) -> Ration | None:
        """What a process started anew has to join in, if there are LINES_PER_SECOND."""
        return self._ration

    def join(self, shared: Ration | None) -> None:
        """In such a process: say no more than what its parent has left."""
        self._ration = shared

    def begin_anew(self) -> None:
        """In a child just forked: what was dropped so far is its parent's to say."""
        self._dropped = 0

    def catch_up(self, at_once: bool = False) -> None:
        """Say how many lines were dropped, once their second is over, and if that can be said."""
        if self._ration is not None:
            self._dropped += self._ration.renew(at_once)
        if self._dropped and written(f"and {self._dropped:,} more."):
            self._dropped = 0


def written(sentence: str) -> bool:
    """Write a line, unless that would wait or cannot be done."""
    line = f"threadmill: {sentence}".encode("utf-8", "replace")[: LINE_BYTES - 1] + b"\n"
    try:
        return bool(select([], [STDERR], [], 0)[1]) and os.write(STDERR, line) == len(line)
    except OSError:
        return False  # its reader has gone, its disk is full: there is nobody to tell


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


class StandardError:
    """A sys.stderr for tracebacks and what logs: it takes what it can, and never waits.

    Python's own would hold a server up when nobody reads it, and raise when nobody can.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def write(self, text: str) -> int:
        """Write as much as standard error takes."""
        data = text.encode(self.encoding, self.errors)
        try:
            while data and select([], [STDERR], [], 0)[1]:
                data = data[os.write(STDERR, data[:PIPE_BUF]) :]
        except OSError:
            pass  # as in `written`
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


def have_standard_descriptors() -> None:
    """Put /dev/null where standard input, output or error were closed when the process started.

    Otherwise the next socket would be one of them, and a peer be sent what is said here.
    """
    for number in range(STDERR + 1):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one


voice = Voice()
"""That of this process; a child goes on with its copy."""
say = voice.say
