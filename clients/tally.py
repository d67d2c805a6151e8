"""What came back from a load: the counts, the histograms, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.histogram import Histogram, summarize


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The outcome of one measured window; latencies in ns, all else in seconds and counts."""

    seconds: float  # t1 - t0
    requests: int  # answers that arrived in the window
    errors: Mapping[str, int]  # by ERROR_KINDS, over the connections' whole life
    rate: float  # requests due per second; 0: a closed loop
    answered: Histogram  # latencies of requests sent (open loop: due, and since then) in the window
    services: Histogram  # open loop: the same requests, since they were sent
    send_lags: Histogram  # open loop: from the due time to the send
    unanswered: Histogram  # ages of requests that were never answered
    connecting: Histogram  # connect times, warm-up included
    connect_retries: int  # SYNs that the kernel had to send again, among slow connects
    idle_served: int  # idle connections that the server has answered and that are still open
    requests_per_connection: Sequence[int]  # answers in the window, one figure per connection
    interval_seconds: float
    interval_requests: Sequence[int]  # answers that arrived in each interval of the window
    interval_latencies: Sequence[Histogram]  # `answered`, by interval of arrival
    generator_cpu_seconds: float  # of the engine's process, over the window

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Tally:
        """Build a tally from the engine's plain values, in which histograms are slot pairs."""
        values = dict(raw)
        for name in ("answered", "services", "send_lags", "unanswered", "connecting"):
            values[name] = Histogram.from_pairs(values[name])
        values["interval_latencies"] = [
            Histogram.from_pairs(pairs) for pairs in values["interval_latencies"]
        ]
        return cls(**values)

    @property
    def throughput(self) -> float:
        """Answers per second of the window."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def served(self) -> int:
        """How many connections had at least one answer in the window."""
        return sum(count > 0 for count in self.requests_per_connection)

    def jain(self) -> float:
        """Return Jain's fairness index over all connections: 1 when all had the same share.

        (sum x)^2 / (n * sum x^2), Jain, Chiu and Hawe 1984, DEC-TR-301. 0 without any answer.
        """
        squares = sum(count * count for count in self.requests_per_connection)
        total = sum(self.requests_per_connection)
        return total * total / (len(self.requests_per_connection) * squares) if squares else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the figures under the names that users of `python -m clients --json` rely on."""
        latency = summarize(self.answered, self.unanswered)
        open_loop = {
            "rate": self.rate,
            "response_ns": latency,
            "service_ns": summarize(self.services, Histogram()),
            "send_lag_ns": summarize(self.send_lags, Histogram()),
        }
        return {
            "requests": self.requests,
            "seconds": self.seconds,
            "throughput": self.throughput,
            "errors": dict(self.errors),
            "latency_ns": latency,
            **(open_loop if self.rate else {}),
            "connect_ns": summarize(self.connecting, Histogram()),
            "connect_retries": self.connect_retries,
            "connections": {
                "offered": len(self.requests_per_connection),
                "served": self.served,
                "jain": self.jain(),
            },
            "generator_cpu_seconds": self.generator_cpu_seconds,
        }
