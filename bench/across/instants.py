"""When several hosts begin at once, and what of their windows they have in common. Pure.

Every host has a monotonic clock of its own, which counts from its own start. How far one is ahead
of the conductor's follows from exchanges of four readings, as NTP has them (RFC 5905, section 8):
the conductor's when it asks and when the answer is back, the host's when it hears and when it
answers. Of many exchanges the one with the least round trip tells it best, and it cannot be wrong
by more than half of that. A latency is the difference of two readings of one clock, always: offsets
say when a window begins, and nothing else.
"""

from __future__ import annotations

__all__ = [
    "AHEAD_SECONDS",
    "EXCHANGES",
    "LEAST_OVERLAP",
    "NS",
    "Exchange",
    "Offset",
    "Span",
    "common",
    "instants",
    "offset_of",
    "overlap",
    "span",
]

from collections.abc import Sequence
from typing import NamedTuple

EXCHANGES = 32
AHEAD_SECONDS = 2.0
"""How far in the future a start is told: every host has heard of it by then, and come to rest."""
LEAST_OVERLAP = 0.99
"""Of the windows of a trial: with less of it, hosts were not loading the server together."""

NS = 1_000_000_000


class Exchange(NamedTuple):
    """Four readings in ns, the outer ones of the conductor's clock, the inner ones of a host's."""

    asked: int
    heard: int
    answered: int
    back: int

    @property
    def round_trip(self) -> int:
        """How long question and answer were on their way."""
        return (self.back - self.asked) - (self.answered - self.heard)

    @property
    def offset(self) -> int:
        """How far the host's clock is ahead, if both ways took as long as each other."""
        return ((self.heard - self.asked) + (self.answered - self.back)) // 2


class Offset(NamedTuple):
    """How far a host's clock is ahead of the conductor's, in ns."""

    ahead: int
    error: int  # at most; half of the least round trip


def offset_of(exchanges: Sequence[Exchange]) -> Offset:
    """Return what the exchange with the least round trip says."""
    best = min(exchanges, key=lambda each: each.round_trip)
    return Offset(best.offset, (best.round_trip + 1) // 2)


def instants(
    now: int, offsets: Sequence[Offset], ahead_seconds: float = AHEAD_SECONDS
) -> list[int]:
    """Return one instant, so far after `now` on the conductor's clock, on each host's."""
    start = now + round(ahead_seconds * NS)
    return [start + offset.ahead for offset in offsets]


class Span(NamedTuple):
    """A window on the conductor's clock, in ns."""

    begin: int
    end: int

    @property
    def seconds(self) -> float:
        """How long it lasts; 0 when it is none."""
        return max(0, self.end - self.begin) / NS


def span(began: int, seconds: float, before: Offset, after: Offset) -> Span:
    """Return a host's window, whose begin it read from its own clock, on the conductor's.

    Each end is told by the offset that was measured next to it: clocks drift.
    """
    return Span(began - before.ahead, began + round(seconds * NS) - after.ahead)


def common(spans: Sequence[Span]) -> Span:
    """Return what all windows have in common; one of no length when that is nothing."""
    begin = max(each.begin for each in spans)
    return Span(begin, max(begin, min(each.end for each in spans)))


def overlap(spans: Sequence[Span]) -> float:
    """Return the share of the longest window that all have in common, 0 to 1."""
    longest = max(each.seconds for each in spans)
    return common(spans).seconds / longest if longest else 0.0
