"""The count of the datagrams that were not answered, by reason, over all processes of a server."""

from __future__ import annotations

__all__ = ["Drops"]

from servers.datagrams import REASONS
from servers.life.counter import Counter
from servers.life.notices import Episode, say


class Drops:
    """A counter for each reason: a child adds to it, and its parent tells the sum."""

    def __init__(self) -> None:
        self._counts = {reason: Counter() for reason in REASONS}
        self._episodes = {reason: Episode() for reason in REASONS}

    def count(self, reason: str) -> None:
        """Count a datagram; the first of a row is said."""
        self._counts[reason].add(1)
        self._episodes[reason].say(f"a datagram was not answered: {REASONS[reason]}.")

    def sum_up(self) -> None:
        """Say how many there were, if any, since this was last asked."""
        sums = {reason: count.take() for reason, count in self._counts.items()}
        words = [f"{sums[reason]:,} {REASONS[reason]}" for reason in REASONS if sums[reason]]
        if words:
            say(f"{sum(sums.values()):,} datagrams not answered: {'; '.join(words)}.")
