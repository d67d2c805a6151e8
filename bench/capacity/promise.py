"""A service-level objective such as `p99=20ms`, and whether a trial kept it. Pure.

A promise is about response times, which count from when a request was due. The rate itself is
part of it: a server that answers fewer than were due has not kept anything.
"""

from __future__ import annotations

__all__ = ["Promise"]

from typing import NamedTuple, Self

from bench.plan.precision import QuantityError, seconds
from reports.histogram import PERCENTILES, SAMPLES_ABOVE
from reports.metrics import Trial
from reports.record import Sample

RATE_TOLERANCE = 0.01


class Promise(NamedTuple):
    """At most `limit_seconds` at a percentile, one of reports.histogram.PERCENTILES."""

    percentile: str
    limit_seconds: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `p99=20ms`; QuantityError when it is none."""
        name, _, limit = text.strip().partition("=")
        if name not in PERCENTILES:
            known = ", ".join(PERCENTILES)
            raise QuantityError(f"a promise is one of {known} and a limit, as p99=20ms: {text!r}")
        return cls(name, seconds(limit))

    @property
    def least_requests(self) -> int:
        """How many requests a trial needs before it can tell the percentile at all."""
        return round(SAMPLES_ABOVE * 100 / (100 - PERCENTILES[self.percentile]))

    def broken_by(self, sample: Sample) -> str:
        """Return what in a trial breaks the promise, in words; empty when it was kept."""
        if sample.failure:
            return sample.failure.partition("\n")[0]
        if errors := sample.tally.troubles:
            return ", ".join(f"{count:,} {kind}" for kind, count in errors.items())
        rate = sample.tally.throughput
        if abs(rate / sample.load.rate - 1) > RATE_TOLERANCE:
            return f"{rate:,.0f}/s answered"
        found = Trial(sample).latencies[self.percentile]
        if found is None:
            return f"too few requests to know the {self.percentile}"
        if found > self.limit_seconds * 1e9:
            return f"{self.percentile} {found / 1e6:.3g} ms"
        return ""
