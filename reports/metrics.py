"""The figures of a trial: one row each, with its unit and how it follows from what was stored.

Every table, chart and file takes its figures from here, so a new one is a new row. Names are
those of the columns of `summary.csv` and carry their units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from reports import units
from reports.histogram import Histogram, summarize
from reports.record import Sample

MIB = 2**20
KIB = 2**10


def decoded(text: str) -> Histogram:
    """Return a stored histogram; a field that a failed trial never reached is an empty one."""
    return Histogram.decode(text) if text else Histogram()


@dataclass(frozen=True)
class Trial:
    """A stored sample, and its histograms as soon as somebody asks for them."""

    sample: Sample

    @cached_property
    def answered(self) -> Histogram:
        """Latencies of the requests that were answered."""
        return decoded(self.sample.answered)

    @cached_property
    def unanswered(self) -> Histogram:
        """Ages of the requests that never were."""
        return decoded(self.sample.unanswered)

    @cached_property
    def latencies(self) -> dict[str, float | bool | None]:
        """Mean, percentiles and maximum in ns, as `summarize` gives them."""
        return summarize(self.answered, self.unanswered)

    @property
    def served(self) -> int:
        """How many connections had an answer within the window."""
        return sum(count > 0 for count in self.sample.requests_per_connection)


class Metric(NamedTuple):
    """One figure: the name of its column, its words, and how to derive and to write it."""

    name: str
    title: str
    unit: str
    of: Callable[[Trial], float | None]  # None: the trial does not give it
    write: Callable[[float], str] = units.number
    latency: str = ""  # the key in `summarize`'s answer; such figures merge, they are not averaged


def _per_request(total: Callable[[Sample], float]) -> Callable[[Trial], float | None]:
    return lambda trial: (
        total(trial.sample) / trial.sample.requests if trial.sample.requests else None
    )


def _latency(key: str, title: str) -> Metric:
    def of(trial: Trial) -> float | None:
        value = trial.latencies[key]
        return None if value is None else value / 1e3

    return Metric(f"latency_{key}_us", title, "us", of, units.duration, key)


def _throughput(trial: Trial) -> float | None:
    return trial.sample.requests / trial.sample.seconds if trial.sample.seconds else None


def _generator_share(trial: Trial) -> float | None:
    sample = trial.sample
    return sample.generator_cpu_seconds / sample.seconds if sample.seconds else None


def jain(trial: Trial) -> float | None:
    """Return Jain's fairness index over all connections offered; None without any answer.

    (sum x)^2 / (n * sum x^2), Jain, Chiu and Hawe 1984, DEC-TR-301.
    """
    counts = trial.sample.requests_per_connection
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else None


THROUGHPUT = Metric("throughput_per_s", "Throughput", "requests/s", _throughput)
P50 = _latency("p50", "Latency p50")
P90 = _latency("p90", "Latency p90")
P99 = _latency("p99", "Latency p99")
P999 = _latency("p999", "Latency p99.9")
CPU = Metric(
    "cpu_us_per_request",
    "CPU per request",
    "us",
    _per_request(lambda s: (s.server_user_seconds + s.server_system_seconds) * 1e6),
)
PSS_IDLE = Metric("pss_idle_mib", "PSS idle", "MiB", lambda t: t.sample.pss_idle_bytes / MIB)
PSS_LOADED = Metric(
    "pss_loaded_mib", "PSS under load", "MiB", lambda t: t.sample.pss_loaded_bytes / MIB
)

METRICS = (
    THROUGHPUT,
    _latency("mean", "Latency mean"),
    P50,
    P90,
    P99,
    P999,
    _latency("max", "Latency max"),
    CPU,
    Metric(
        "cpu_user_us_per_request",
        "of it in user mode",
        "us",
        _per_request(lambda s: s.server_user_seconds * 1e6),
    ),
    PSS_IDLE,
    PSS_LOADED,
    Metric(
        "pss_kib_per_connection",
        "PSS per connection",
        "KiB",
        lambda t: (
            (t.sample.pss_loaded_bytes - t.sample.pss_idle_bytes) / KIB / t.sample.connections
        ),
    ),
    Metric("processes", "Processes", "", lambda t: t.sample.processes),
    Metric("threads", "Threads", "", lambda t: t.sample.threads),
    Metric("descriptors", "Descriptors", "", lambda t: t.sample.descriptors),
    Metric(
        "voluntary_switches_per_request",
        "Voluntary switches per request",
        "",
        _per_request(lambda s: s.voluntary_switches),
    ),
    Metric(
        "involuntary_switches_per_request",
        "Involuntary switches per request",
        "",
        _per_request(lambda s: s.involuntary_switches),
    ),
    Metric(
        "minor_faults_per_request",
        "Minor page faults per request",
        "",
        _per_request(lambda s: s.minor_faults),
    ),
    Metric("jain", "Jain's fairness index", "", jain, units.ratio),
    Metric("generator_cpu_share", "Generator CPU", "of a core", _generator_share, units.percent),
    Metric("ready_s", "Ready after", "s", lambda t: t.sample.ready_seconds),
    Metric("first_answer_s", "First answer after", "s", lambda t: t.sample.first_answer_seconds),
)

HEADLINES = (THROUGHPUT, P50, P90, P99, P999, CPU, PSS_IDLE, PSS_LOADED)
"""What a reader compares first; the rest explains it."""
