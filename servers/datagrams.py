"""What a datagram means: its bytes in, and out comes what to do about it. No socket, no clock.

A datagram is exactly one frame, or it is nothing: what is too short, too long or itself an answer
is dropped and counted, for whoever sent it may not be where it says. So no answer is longer than
its request: a server must not send a victim more than the forger of an address sends it. An error
goes without its sentence where that does not fit, and is not sent where the code does not.

That answers are dropped has another reason: two servers that told each other of a wrong kind would
do so for ever, once somebody has sent one of them a datagram in the other's name.
"""

from __future__ import annotations

__all__ = [
    "BUSY",
    "MALFORMED",
    "MOST_DATAGRAM_BYTES",
    "REASONS",
    "UNANSWERABLE",
    "UNSENT",
    "Conversation",
]

from servers.protocol import (
    ANSWER,
    ERROR,
    HEADER,
    HEADER_SIZE,
    Frame,
    frame,
    framing_fault,
)

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from servers.steps import Step

    Reply = bytes | Iterable[Step]

MOST_DATAGRAM_BYTES = 65_507
"""What IPv4 leaves of 65,535 bytes when its own header and that of UDP are there."""
CODE_BYTES = 2

MALFORMED = "malformed"
UNANSWERABLE = "unanswerable"
BUSY = "busy"
UNSENT = "unsent"
REASONS = {
    MALFORMED: "not one whole frame of a request",
    UNANSWERABLE: "an error that does not fit into the length of its request",
    BUSY: "too many requests under way",
    UNSENT: "an answer that could not be sent",
}
"""Why a datagram is not answered, and the same in words."""

unpack_header = HEADER.unpack_from


class Conversation:
    """The service's side of every datagram that a socket receives."""

    __slots__ = ("_drop", "_limit", "_respond")

    def __init__(
        self, respond: Callable[[Frame], Reply], limit: int, drop: Callable[[str], object]
    ) -> None:
        """Have `respond` answer frames with bodies of at most `limit` bytes."""
        self._respond = respond
        self._limit = limit
        self._drop = drop

    def receive(self, datagram: bytes) -> Reply | None:
        """Return the answer, or the steps that lead to it; None when there is to be none."""
        length = len(datagram)
        if length >= HEADER_SIZE:
            size, kind, flags, tag = unpack_header(datagram)
            if size == length - HEADER_SIZE and kind < ANSWER:
                if flags or size > self._limit:
                    error = framing_fault(size, flags, self._limit)
                    reply: Reply = frame(ERROR, tag, error.body())
                else:
                    reply = self._respond((kind, tag, datagram[HEADER_SIZE:]))
                # Steps lead to a payload without its argument, which is always shorter.
                if isinstance(reply, bytes) and len(reply) > length:
                    return self._without_sentence(reply, tag, length)
                return reply
        self._drop(MALFORMED)
        return None

    def _without_sentence(self, error: bytes, tag: int, most: int) -> bytes | None:
        """Return an error's code alone; None where not even that fits."""
        short = frame(ERROR, tag, error[HEADER_SIZE : HEADER_SIZE + CODE_BYTES])
        if len(short) <= most:
            return short
        self._drop(UNANSWERABLE)
        return None
