"""The records of a run: what was asked, on what machine, and what each trial gave.

A record says everything that is needed to read it: units are in the names, and every line
carries its schema number and its run. Figures that follow from others (CPU per request, a
percentile) are not stored but derived, in `reports.store`, from what is.

Schema history
    1  (2026-11)  the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_origin, get_type_hints

SCHEMA = 1


class RecordError(ValueError):
    """A stored record that this version cannot read; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every line of a run's file has in common."""

    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-ready values, labelled with its type."""
        return {"type": type(self).__name__.lower(), **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build the record from `to_json`'s values; RecordError when they do not make one."""
        if values.get("schema") != SCHEMA:
            raise RecordError(f"schema {values.get('schema')!r}, this version reads {SCHEMA}")
        try:
            record = cls(**{name: value for name, value in values.items() if name != "type"})
        except TypeError as error:
            raise RecordError(str(error)) from error
        for name, hint in get_type_hints(cls).items():
            value = getattr(record, name)
            if not isinstance(value, _ACCEPTED[get_origin(hint) or hint]):
                raise RecordError(f"{name} is {value!r}, which is no {hint.__name__}")
        return record


_ACCEPTED: Mapping[type, type | tuple[type, ...]] = {
    str: str,
    int: int,
    float: (int, float),
    list: list,
    dict: dict,
}
"""The types that fields have, and what JSON may give for each: 2.0 may come back as 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """The first line: what was asked for, and the machine it ran on."""

    id: str
    started: str  # UTC, ISO 8601
    profile: str
    seed: int  # of the order of trials
    models: list[str]
    scenarios: list[str]
    blocks: int
    window_seconds: float
    warm_up_seconds: float
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    placement_override: str = ""  # of all scenarios; empty: each has its own
    # One connection's round trip to the null server, p50: "same" on one CPU, "split" across two.
    wake_up_ns: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # what else the user or the run chose


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Record):
    """One trial of one cell: a fresh server process under one load.

    A failed trial has a `failure`, and keeps whatever figures it had reached by then.
    """

    # The cell and the trial.
    run: str
    model: str
    scenario: str
    level: str  # the load in words, e.g. "64 connections, 1 KiB"
    block: int
    started: str  # UTC, ISO 8601
    failure: str = ""  # one sentence, and the server's last words; empty: a good trial

    # The load.
    connections: int
    depth: int  # requests outstanding on each connection
    session: int  # requests in a connection's life; 0: it lives for the run
    kind: str  # of the requests: ECHO, COMPUTE, ...
    size_bytes: int  # of the payload
    argument: int  # rounds of COMPUTE, microseconds of WAIT; else 0
    workers: int  # of a pool; 0: the model has none
    placement: str  # split, same or free
    server_cpus: list[int]
    client_cpus: list[int]
    rate: float = 0.0  # requests due per second; 0: a closed loop
    arrivals: str = ""  # of an open loop: uniform or poisson
    spin: int = 0  # 1: the generator never slept in the window, so its CPU is all of its core
    idle_connections: int = 0  # further ones, each with one request before the window
    backlog: int = 0  # of connections that may wait to be accepted; 0: the server's own
    file_bytes: int = 0  # of a transfer

    # What came back (docs/method.md, "What counts").
    seconds: float = 0.0  # the measured window, t1 - t0
    requests: int = 0  # answers that arrived in the window
    errors: dict[str, int] = field(default_factory=dict)  # by kind, over the whole trial
    answered: str = ""  # latencies of requests sent in the window, HdrHistogram V2 base64, ns
    unanswered: str = ""  # ages of those never answered, the same form
    connecting: str = ""  # connect times, the same form
    requests_per_connection: list[int] = field(default_factory=list)  # in the window
    interval_seconds: float = 0.0  # the step of the time axis
    interval_requests: list[int] = field(default_factory=list)  # answers that arrived in each
    interval_latencies: list[str] = field(default_factory=list)  # by arrival, as `answered`
    services: str = ""  # open loop: `answered`, counted from the send and not from the due time
    send_lags: str = ""  # open loop: from the due time to the send
    connect_retries: int = 0  # SYNs that the kernel had to send again
    idle_served: int = 0  # idle connections that were answered and are still open
    stopped: str = ""  # why a model could not go on at this level, or was not let; one sentence
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

    # The rest of the machine over the window.
    generator_cpu_seconds: float = 0.0
    foreign_cpu_share: float = 0.0  # of all CPUs: neither server nor generator
    steal_share: float = 0.0  # of all CPUs: taken by the hypervisor

    # From the start of the process.
    ready_seconds: float = 0.0  # to its ready line
    first_answer_seconds: float = 0.0  # to the first answered request
