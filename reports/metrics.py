"""The figures of a trial: one row each, with its unit and how it follows from what was stored.

Every table, chart and file takes its figures from here, so a new one is a new row. Names are
those of the columns of `summary.csv` and carry their units.
"""

from __future__ import annotations

__all__ = [
    "BANDWIDTH",
    "COMPANY",
    "CONNECT_MAX",
    "CONNECT_P50",
    "CPU",
    "CPU_PER_MIB",
    "GENERATOR",
    "JAIN",
    "LOST",
    "METRICS",
    "MIB",
    "OPENED",
    "P50",
    "P90",
    "P99",
    "P999",
    "PROCESSES",
    "PSS_IDLE",
    "PSS_LOADED",
    "PSS_PER_CONNECTION",
    "RATE",
    "REFUSED",
    "RETRIES",
    "SERVER_CORES",
    "SERVICE_P99",
    "THREADS",
    "THROUGHPUT",
    "UNSERVED",
    "Metric",
    "Trial",
    "headlines",
    "suited",
]

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from reports import units
from reports.histogram import Histogram, summarize
from reports.load import Load
from reports.record import Sample

MIB = 2**20
KIB = 2**10
BELOW = "below what can be told"
"""A difference of two figures that is not above 0: it is less than what each of them scatters."""
FOREIGN_SHARE = 0.10
STEAL_SHARE = 0.01
"""Of all CPUs: above either a trial is marked as disturbed. It is kept, shown and counted."""


@dataclass(frozen=True)
class Trial:
    """A stored sample, and what its histograms say as soon as somebody asks for it."""

    sample: Sample
    _summaries: dict[str, dict[str, float | bool | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def histograms(self, source: str) -> tuple[Histogram, Histogram]:
        """Return what was completed and what never was, of the durations called `source`."""
        tally = self.sample.tally
        never = tally.unanswered if source == "answered" else Histogram()
        return getattr(tally, source), never

    @cached_property
    def latencies(self) -> dict[str, float | bool | None]:
        """Mean, percentiles and maximum in ns, as `summarize` gives them."""
        return self.summaries("answered")

    def summaries(self, source: str) -> dict[str, float | bool | None]:
        """Return the same of the durations called `source`."""
        if source not in self._summaries:
            self._summaries[source] = summarize(*self.histograms(source))
        return self._summaries[source]

    @property
    def disturbed(self) -> bool:
        """Whether something else used the machine during the window."""
        return (
            self.sample.foreign_cpu_share > FOREIGN_SHARE or self.sample.steal_share > STEAL_SHARE
        )

    @property
    def served(self) -> int:
        """How many connections had an answer within the window."""
        return self.sample.tally.served


class Metric(NamedTuple):
    """One figure: the name of its column, its words, and how to derive and to write it."""

    name: str
    title: str
    unit: str
    of: Callable[[Trial], float | None]  # None: the trial does not give it
    write: Callable[[float], str] = units.number
    latency: str = ""  # the key in `summarize`'s answer; such figures merge, they are not averaged
    source: str = "answered"  # of a latency: which of the trial's histograms
    more_is_better: bool = False


def _per_request(total: Callable[[Sample], float]) -> Callable[[Trial], float | None]:
    """Share a total out among the requests; not in company, which has its part in the total."""
    return lambda trial: (
        total(trial.sample) / trial.sample.tally.requests
        if trial.sample.tally.requests and not trial.sample.load.company
        else None
    )


def _latency(key: str, title: str, source: str = "answered", name: str = "latency") -> Metric:
    def of(trial: Trial) -> float | None:
        value = trial.summaries(source)[key]
        return None if value is None else value / 1e3

    return Metric(f"{name}_{key}_us", title, "us", of, units.duration, key, source)


def _throughput(trial: Trial) -> float | None:
    return trial.sample.tally.throughput if trial.sample.tally.seconds else None


def _generator_share(trial: Trial) -> float | None:
    sample = trial.sample
    return (
        sample.tally.generator_cpu_seconds / sample.tally.seconds if sample.tally.seconds else None
    )


def _lost(trial: Trial) -> float | None:
    """Return the share of a window's requests that had no answer in time; of datagrams only."""
    answered, lost = trial.histograms("answered")
    if trial.sample.load.transport != "udp" or not answered.count + lost.count:
        return None
    return lost.count / (answered.count + lost.count)


def _jain(trial: Trial) -> float | None:
    return trial.sample.tally.jain() or None


THROUGHPUT = Metric(
    "throughput_per_s", "Throughput", "requests/s", _throughput, more_is_better=True
)
P50 = _latency("p50", "Latency p50")
P90 = _latency("p90", "Latency p90")
P99 = _latency("p99", "Latency p99")
P999 = _latency("p999", "Latency p99.9")
CPU = Metric(
    "cpu_us_per_request",
    "CPU per request",
    "us",
    _per_request(lambda s: s.server_cpu_seconds * 1e6),
)
BANDWIDTH = Metric(
    "throughput_mib_per_s",
    "Throughput",
    "MiB/s",
    lambda t: (_throughput(t) or 0.0) * t.sample.load.bulk_bytes / MIB or None,
    more_is_better=True,
)
CPU_PER_MIB = Metric(
    "cpu_ms_per_mib",
    "CPU per MiB",
    "ms",
    lambda t: (
        t.sample.server_cpu_seconds
        * 1e3
        / (t.sample.tally.requests * t.sample.load.bulk_bytes / MIB)
        if t.sample.tally.requests and t.sample.load.bulk_bytes
        else None
    ),
)
SERVICE_P50 = _latency("p50", "Service time p50", "services", "service")
SERVICE_P99 = _latency("p99", "Service time p99", "services", "service")
SEND_LAG_P99 = _latency("p99", "Send lag p99", "send_lags", "send_lag")
CONNECT_P50 = _latency("p50", "Connect time p50", "connecting", "connect")
CONNECT_MAX = _latency("max", "Connect time max", "connecting", "connect")
COMPANY = Metric(
    "company_per_s",
    "Company's throughput",
    "COMPUTEs/s",
    lambda t: (
        t.sample.tally.company_requests / t.sample.tally.seconds
        if t.sample.load.company and t.sample.tally.seconds
        else None
    ),
    more_is_better=True,
)
OPENED = Metric(
    "open_s", "All connections open after", "s", lambda t: t.sample.tally.open_seconds or None
)
RATE = Metric("rate_per_s", "Rate", "requests/s", lambda t: t.sample.load.rate or None)
REFUSED = Metric(
    "refused",
    "Connects refused or timed out",
    "",
    lambda t: (
        t.sample.tally.errors.get("refused", 0) + t.sample.tally.errors.get("connect_timeout", 0)
    ),
)
RETRIES = Metric("connect_retries", "SYNs sent again", "", lambda t: t.sample.tally.connect_retries)
JAIN = Metric("jain", "Jain's fairness index", "", _jain, units.ratio, more_is_better=True)
UNSERVED = Metric(
    "unserved",
    "Connections never served",
    "",
    lambda t: t.sample.load.connections - t.sample.tally.served,
    units.whole,
)
PROCESSES = Metric("processes", "Processes", "", lambda t: t.sample.processes)
THREADS = Metric("threads", "Threads", "", lambda t: t.sample.threads)
SERVER_CORES = Metric(
    "server_cpu_cores",
    "Server CPU",
    "cores",
    lambda t: (
        t.sample.server_cpu_seconds / t.sample.tally.seconds if t.sample.tally.seconds else None
    ),
)
GENERATOR = Metric(
    "generator_cpu_share", "Generator CPU", "of a core", _generator_share, units.percent
)
PSS_IDLE = Metric("pss_idle_mib", "PSS idle", "MiB", lambda t: t.sample.pss_idle_bytes / MIB)
PSS_LOADED = Metric(
    "pss_loaded_mib", "PSS under load", "MiB", lambda t: t.sample.pss_loaded_bytes / MIB
)
PSS_PER_CONNECTION = Metric(
    "pss_kib_per_connection",
    "PSS per connection",
    "KiB",
    lambda t: (
        (t.sample.pss_loaded_bytes - t.sample.pss_idle_bytes)
        / KIB
        / (t.sample.load.connections + t.sample.load.idle_connections)
    ),
    lambda value: units.number(value) if value > 0 else BELOW,
)

LOST = Metric("lost_share", "Lost", "of requests", _lost, units.percent)

METRICS = (
    THROUGHPUT,
    BANDWIDTH,
    _latency("mean", "Latency mean"),
    P50,
    P90,
    P99,
    P999,
    _latency("max", "Latency max"),
    CPU,
    CPU_PER_MIB,
    Metric(
        "cpu_user_us_per_request",
        "CPU per request in user mode",
        "us",
        _per_request(lambda s: s.server_user_seconds * 1e6),
    ),
    PSS_IDLE,
    PSS_LOADED,
    PSS_PER_CONNECTION,
    PROCESSES,
    THREADS,
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
    JAIN,
    UNSERVED,
    RATE,
    SERVICE_P50,
    SERVICE_P99,
    SEND_LAG_P99,
    CONNECT_P50,
    CONNECT_MAX,
    OPENED,
    REFUSED,
    RETRIES,
    LOST,
    Metric(
        "kernel_drops",
        "Datagrams without room",
        "",
        lambda t: t.sample.kernel.get("server_sk_drops"),
        units.whole,
    ),
    COMPANY,
    SERVER_CORES,
    GENERATOR,
    Metric(
        "ceiling_per_s",
        "Null server's throughput",
        "requests/s",
        lambda t: t.sample.ceiling_requests_per_second or None,
    ),
    Metric(
        "foreign_cpu_share",
        "CPU used by others",
        "of all CPUs",
        lambda t: t.sample.foreign_cpu_share,
        units.percent,
    ),
    Metric("ready_s", "Ready after", "s", lambda t: t.sample.ready_seconds),
    Metric("first_answer_s", "First answer after", "s", lambda t: t.sample.first_answer_seconds),
)

HEADLINES = (THROUGHPUT, P50, P90, P99, P999, CPU, PSS_IDLE, PSS_LOADED)
"""What a reader compares first; the rest explains it."""

_HEADLINES_OF: Mapping[str, Sequence[Metric]] = {
    "company": (P50, P90, P99, SERVICE_P99, SEND_LAG_P99, COMPANY, SERVER_CORES, PSS_LOADED),
    "rate": (RATE, P50, P99, SERVICE_P50, SERVICE_P99, SEND_LAG_P99, THROUGHPUT, CPU, PSS_LOADED),
    "idle_connections": (PSS_PER_CONNECTION, PSS_LOADED, THREADS, PROCESSES, P50, P99, CPU, OPENED),
    "backlog": (CONNECT_P50, CONNECT_MAX, REFUSED, RETRIES, THROUGHPUT, P99, CPU),
}
"""The same, for loads that have a field of their own: company, open loops, idle ones, bursts."""


def headlines(asked: Sample) -> Sequence[Metric]:
    """Return what to compare first under the load of a trial."""
    has = dataclasses.asdict(asked.load) | dataclasses.asdict(asked.serving)
    return next((row for name, row in _HEADLINES_OF.items() if has[name]), HEADLINES)


_OF_BULK = {THROUGHPUT.name: BANDWIDTH, CPU.name: CPU_PER_MIB}


def suited(metric: Metric, load: Load) -> Metric:
    """Return the figure itself, or what says the same of big transfers: by the MiB."""
    return _OF_BULK.get(metric.name, metric) if load.bulk_bytes else metric
