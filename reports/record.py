"""The records of a run: what was asked, on what machine, and what each trial gave.

A record says everything that is needed to read it: units are in the names, and every line
carries its schema number and its run. Figures that follow from others (CPU per request, a
percentile) are not stored but derived, in `reports.metrics`, from what is. How records become JSON
and come back, also those of earlier schemas, is `reports.schema`'s.
"""

from __future__ import annotations

__all__ = ["Record", "RecordError", "Run", "Sample"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reports.key import CellKey
from reports.load import Load
from reports.schema import Record, RecordError, Values
from reports.serving import Serving
from reports.tally import Tally
from reports.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """The first line: what was asked for, and the machine it ran on.

    Schema history
        1  (2026-11)  the first.
    """

    id: str
    started: str  # UTC, ISO 8601
    profile: str
    seed: int  # of the order of trials
    models: list[str]
    # The family of every model that the catalogue had, in its order: a model looks the same in a
    # run of a few and in a run of all.
    families: dict[str, str] = field(default_factory=dict)
    scenarios: list[str]
    blocks: int
    window_seconds: float
    warm_up_seconds: float
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    placement_override: str = ""  # of all scenarios; empty: each has its own
    # One connection's round trip to the null server, p50: "same" on one CPU, "split" across two.
    wake_up_ns: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # what else the user or the run chose
    # What each interpreter of `--python` said of itself, by its name; none: the conductor's alone.
    interpreters: list[dict[str, Any]] = field(default_factory=list)


def _sample_of_schema_1(old: Values) -> Values:
    """Sort the flat fields of a sample of schema 1 into its cell, its load and its tally.

    It did not keep the seed, which was the block's number, nor how connections were opened, which
    reads as a load's defaults.
    """
    values = dict(old)
    values.pop("file_bytes", None)  # it follows from the load
    values["cell"] = {name: values.pop(name) for name in ("scenario", "level", "model")}
    required = ("connections", "depth", "session", "kind", "size_bytes", "argument")
    load = {name: values.pop(name) for name in required}
    load |= {
        name: values.pop(name)
        for name in ("rate", "arrivals", "spin", "idle_connections")
        if name in values
    }
    load["arrivals"] = load.get("arrivals") or "uniform"  # of a closed loop it was not said
    load["spin"] = bool(load.get("spin"))
    values["load"] = load | {"seed": values["block"]}
    values["tally"] = {name: values.pop(name) for name in _TALLY_OF_SCHEMA_1 if name in values}
    return values


def _sample_of_schema_2(old: Values) -> Values:
    """Gather how the server was started, which stood among the fields of a sample of schema 2."""
    values = dict(old)
    serving = {name: values.pop(name) for name in ("workers", "placement")}
    serving |= {
        name: values.pop(name) for name in ("backlog", "receive_buffer", "link") if name in values
    }
    return values | {"serving": serving}


_TALLY_OF_SCHEMA_1 = (
    "seconds", "requests", "errors", "answered", "unanswered", "connecting",
    "requests_per_connection", "interval_seconds", "interval_requests", "interval_latencies",
    "services", "send_lags", "connect_retries", "idle_served", "generator_cpu_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Record):
    """One trial of one cell: a fresh server process under one load.

    A failed trial has a `failure`, and keeps whatever figures it had reached by then.

    Schema history
        1  (2026-11)  the first; all fields in a row.
        2  (2026-11)  contains a `CellKey`, a `Load` and a `Tally`; says under which interpreter
                      and on which host its server ran. `file_bytes` follows from the load.
        3  (2026-11)  contains a `Serving`, which says also how long a thread might keep the GIL
                      and the most CPUs that the server was to have; and a `Topology`: which host
                      was what in a trial across hosts, whose figures are those of several
                      generators together. It is empty for all others, and where it is absent.
    """

    SCHEMA: ClassVar[int] = 3
    READERS: ClassVar[Mapping[int, Callable[[Values], Values]]] = {
        1: _sample_of_schema_1,
        2: _sample_of_schema_2,
    }

    # The cell and the trial.
    run: str
    cell: CellKey
    block: int
    started: str  # UTC, ISO 8601
    failure: str = ""  # one sentence, and the server's last words; empty: a good trial
    stopped: str = ""  # why a model could not go on at this level, or was not let; one sentence

    # What was asked, and of whom.
    load: Load
    serving: Serving  # the pool of 0 workers: the model has none
    server_cpus: list[int]
    client_cpus: list[int]
    host: str = ""  # where the server ran; empty: where the conductor did
    topology: Topology = field(default_factory=Topology)
    # What the server said it runs under: implementation, python, gil, jit, and in `at_end` what of
    # it was so when it ended; `environment` is what was set for it. Empty: the conductor's.
    server: dict[str, Any] = field(default_factory=dict)

    # What came back (docs/method.md, "What counts").
    tally: Tally = field(default_factory=Tally)
    # Of the null server under the same load in the same block; 0: not measured.
    ceiling_requests_per_second: float = 0.0

    # The server's process tree over the window.
    server_user_seconds: float = 0.0
    server_system_seconds: float = 0.0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    minor_faults: int = 0

    # The server's process tree at rest, and with the connections still open after the drain.
    pss_idle_bytes: int = 0
    pss_loaded_bytes: int = 0
    processes: int = 0  # under load, as are the next two
    threads: int = 0
    descriptors: int = 0
    # Open after the drain, ascending; empty where one process had them all, or nobody looked.
    connections_by_process: list[int] = field(default_factory=list)

    # What the kernel counted of datagrams from the first to the last of the trial, under its own
    # names; those of the server's side begin with "server_". Empty: over TCP.
    kernel: dict[str, int] = field(default_factory=dict)

    # The rest of the machine over the window.
    foreign_cpu_share: float = 0.0  # of all CPUs: neither server nor generator
    steal_share: float = 0.0  # of all CPUs: taken by the hypervisor

    # From the start of the process.
    ready_seconds: float = 0.0  # to its ready line
    first_answer_seconds: float = 0.0  # to the first answered request
    # A connection had ended before the load began; False: none had, or an older record.
    served_before: bool = False

    @property
    def server_cpu_seconds(self) -> float:
        """CPU of the server's process tree over the window."""
        return self.server_user_seconds + self.server_system_seconds

    @property
    def shares_cpus(self) -> bool:
        """Whether server and generator ran on the same CPUs, of the same machine."""
        if self.topology.server:
            return self.topology.shares_cpus(self.server_cpus)
        return bool(set(self.server_cpus) & set(self.client_cpus))

    def has_gil(self, run: Run) -> bool:
        """Whether a process of the server ran Python on one core at a time.

        An older server does not say under which interpreter it runs; it was the conductor's.
        """
        return bool(self.server.get("gil", run.machine.get("gil", True))) or self.gil_came_back

    @property
    def runs_under(self) -> str:
        """The interpreter that the server said it runs under, in words; empty: it did not say."""
        said = [str(self.server.get(name, "")) for name in ("implementation", "python")]
        if not any(said):
            return ""
        words = [" ".join(said), "GIL on" if self.server.get("gil", True) else "GIL off"]
        return ", ".join([*words, *(["JIT on"] if self.server.get("jit") else [])])

    @property
    def gil_came_back(self) -> bool:
        """Whether the GIL was on at the end and could have been off: an import switches it on.

        Where that was asked for, by PYTHON_GIL=1, it did not come back.
        """
        parts = (self.server.get("at_end"), self.server.get("environment"))
        at_end, environment = (part if isinstance(part, dict) else {} for part in parts)
        could_be_off = bool(self.server.get("free_threaded"))
        is_on = bool(at_end.get("gil", self.server.get("gil", True)))
        return could_be_off and is_on and environment.get("PYTHON_GIL") != "1"
