"""What came back from a load: the one table of its figures, from the engine to the record.

A figure is one field here, with how those of the engine's threads become one. What the engine and
its oracle return is held against these fields by `Tally.from_raw`, a stored sample contains a
`Tally`, and its JSON follows from the types: a histogram is HdrHistogram's V2 text there.

The load engine's process reads this table as well. It must start quickly and has no use for a
histogram, so `reports.histogram`, and numpy with it, is imported where one is made.
"""

from __future__ import annotations

__all__ = ["THREADS", "Tally", "added", "joined"]

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.histogram import Histogram

LEAST_SECONDS, MOST_SECONDS = 1e-6, 1e6
MOST_COUNT = 2**53
"""Of a window, and of answers: what is beyond was never measured, and a float does not hold it."""

Parts = Sequence[Sequence[Any]]
"""A figure as each thread gives it: always a list."""


def summed(parts: Parts) -> Any:
    """Add up counts that each thread has one of."""
    return sum(count for part in parts for count in part)


def added(parts: Parts) -> list[Any]:
    """Add up lists place by place."""
    return [sum(counts) for counts in zip(*parts, strict=True)]


def joined(parts: Parts) -> list[Any]:
    """Put lists one after another; of a histogram's pairs that is its sum."""
    return [each for part in parts for each in part]


def layered(parts: Parts) -> list[Any]:
    """Join what stands at the same place of each list."""
    return [joined(place) for place in zip(*parts, strict=True)]


def _empty() -> Histogram:
    from reports.histogram import Histogram

    return Histogram()


SUMMED, ADDED, JOINED, LAYERED = ({"threads": rule} for rule in (summed, added, joined, layered))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The outcome of one measured window; latencies in ns, all else in seconds and counts."""

    # Of the window.
    seconds: float = 0.0  # t1 - t0
    requests: int = 0  # answers that arrived in the window
    interval_seconds: float = 0.0  # the step of the time axis
    generator_cpu_seconds: float = 0.0  # of the engine's process, over the window
    open_seconds: float = 0.0  # until every connection was open, or had failed
    company_requests: int = 0  # of the load beside this one: answers that arrived in the window
    # Of each of the engine's threads.

    # By kind, over the connections' whole life.
    errors: Mapping[str, int] = field(default_factory=dict, metadata=ADDED)
    # Latencies of requests sent (or due) in the window.
    answered: Histogram = field(default_factory=_empty, metadata=JOINED)
    # Open loop: the same requests, since they were sent.
    services: Histogram = field(default_factory=_empty, metadata=JOINED)
    # Open loop: from the due time to the send.
    send_lags: Histogram = field(default_factory=_empty, metadata=JOINED)
    # Ages of requests that were never answered.
    unanswered: Histogram = field(default_factory=_empty, metadata=JOINED)
    # Connect times, warm-up included.
    connecting: Histogram = field(default_factory=_empty, metadata=JOINED)
    # SYNs that the kernel had to send again.
    connect_retries: int = field(default_factory=int, metadata=SUMMED)
    # Idle connections that were answered and are still open.
    idle_served: int = field(default_factory=int, metadata=SUMMED)
    # Answers in the window.
    requests_per_connection: Sequence[int] = field(default_factory=list, metadata=JOINED)
    # Answers that arrived in each interval.
    interval_requests: Sequence[int] = field(default_factory=list, metadata=ADDED)
    # `answered`, by interval of arrival.
    interval_latencies: Sequence[Histogram] = field(default_factory=list, metadata=LAYERED)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Tally:
        """Build a tally from the engine's plain values, in which histograms are slot pairs.

        ValueError when a figure is missing or is none of ours.
        """
        fields = dataclasses.fields(cls)
        if strange := raw.keys() ^ {each.name for each in fields}:
            raise ValueError(f"a tally without, or with more than: {', '.join(sorted(strange))}")
        from reports.histogram import Histogram

        makers: Mapping[Any, Callable[[Any], Any]] = {
            "Histogram": Histogram.from_pairs,
            "Sequence[Histogram]": lambda each: list(map(Histogram.from_pairs, each)),
        }
        forms = {each.name: makers.get(each.type, lambda value: value) for each in fields}
        return cls(**{name: forms[name](value) for name, value in raw.items()})

    def __post_init__(self) -> None:
        """Check what others divide by and add up; ValueError says which figure cannot be."""
        for name in ("seconds", "interval_seconds"):
            value = getattr(self, name)
            if value and not LEAST_SECONDS <= value <= MOST_SECONDS:
                raise ValueError(
                    f"{name} must be 0 or {LEAST_SECONDS:g} to {MOST_SECONDS:g}, not {value:g}"
                )
        if self.interval_requests and not self.interval_seconds:
            raise ValueError("interval_seconds is 0, and there are interval_requests")
        for name in ("requests", "requests_per_connection", "interval_requests"):
            value = getattr(self, name)
            counts = (value,) if isinstance(value, int) else value
            if counts and not 0 <= min(counts) <= max(counts) <= MOST_COUNT:
                raise ValueError(f"{name} must be 0 to {MOST_COUNT}")

    @property
    def throughput(self) -> float:
        """Answers per second of the window."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def served(self) -> int:
        """How many connections had at least one answer in the window."""
        return sum(count > 0 for count in self.requests_per_connection)

    @property
    def troubles(self) -> dict[str, int]:
        """The errors that there were, by kind."""
        return {kind: count for kind, count in self.errors.items() if count}

    def jain(self) -> float:
        """Return Jain's fairness index over all connections: 1 when all had the same share.

        (sum x)^2 / (n * sum x^2), Jain, Chiu and Hawe 1984, DEC-TR-301. 0 without any answer.
        """
        squares = sum(count * count for count in self.requests_per_connection)
        total = sum(self.requests_per_connection)
        return total * total / (len(self.requests_per_connection) * squares) if squares else 0.0


THREADS: Mapping[str, Callable[[Parts], Any]] = {
    each.name: each.metadata["threads"]
    for each in dataclasses.fields(Tally)
    if "threads" in each.metadata
}
"""How the parts of the engine's threads become one, by figure."""
