"""The hosts of a cluster: what each says it is, and whether it can take part.

What a host says is read in its worker, before anything is measured; the rest is pure.
"""

from __future__ import annotations

__all__ = ["Host", "facts", "fit", "hosts_of", "mixed"]

import hashlib
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from bench.across.instants import EXCHANGES, Exchange, Offset, offset_of
from bench.across.part import machine
from bench.cluster.connecting import ClusterError
from bench.measure.launch import ROOT
from bench.measure.machine import fingerprint
from bench.measure.placement import allowed_cpus
from reports.machines import differences

STILL_SECONDS = 1.0
VERSIONS = ("threadmill", "distributed", "dask", "msgpack", "tornado")
MUST_AGREE: Mapping[str, str] = {
    "commit": "commit",
    "wire": "wire protocol",
    "engine": "load engine",
    "version": "version of threadmill",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A worker of the cluster, and the machine that it is on."""

    name: str
    address: str
    machine: str  # workers with the same share a kernel, and take turns
    fingerprint: dict[str, Any]
    versions: dict[str, str]
    roles: list[str]
    fit: bool
    reason: str  # why it is not fit, a sentence; empty: it is
    clock_ahead_ns: int  # of the conductor's monotonic clock
    clock_error_ns: int
    round_trip_ns: int  # the least
    idle_cpu_share: float  # of one CPU, by the worker when nothing is asked of it
    idle_switches_per_second: float
    incarnation: str  # of the worker: one that is started anew has another


def facts(dask_worker: Any = None) -> dict[str, Any]:
    """Return what this host is; runs in its worker, which Dask hands in by the name."""
    machine_facts = fingerprint()
    return {
        "incarnation": str(getattr(dask_worker, "id", "")),
        "machine": machine(),
        "fingerprint": machine_facts,
        "roles": ["server", "generator", *(["block"] if len(allowed_cpus()) > 1 else [])],
        "versions": {name: metadata.version(name) for name in VERSIONS},
        "agreed": {
            "commit": machine_facts["commit"],
            "wire": _digest("servers", "protocol.py"),
            "engine": _digest("clients/engine", "*.p[yx]*"),
            "version": metadata.version("threadmill"),
        },
    }


def _digest(folder: str, pattern: str) -> str:
    found = hashlib.sha256()
    for path in sorted((ROOT / folder).glob(pattern)):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]


def spent() -> tuple[float, float, int]:
    """Return a worker's clock, CPU seconds and switches so far; runs in it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime, used.ru_nvcsw + used.ru_nivcsw


def fit(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Return why a host cannot take part, a sentence; empty: it can."""
    for name, words in MUST_AGREE.items():
        if theirs.get(name) != ours[name]:
            return f"its {words} is {theirs.get(name) or 'unknown'}, and here it is {ours[name]}"
    return ""


def hosts_of(client: Any) -> list[Host]:
    """Return the workers of a cluster by name; ClusterError when there are none."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise ClusterError("the cluster has no workers")
    told, ours = client.run(facts), facts()["agreed"]
    before = client.run(spent)
    time.sleep(STILL_SECONDS)
    after = client.run(spent)
    found = []
    for address, worker in workers.items():
        said, offset = told[address], _clock(client, address)
        reason = fit(said["agreed"], ours)
        (began, cpu, switches), (ended, more_cpu, more_switches) = before[address], after[address]
        seconds = ended - began
        found.append(
            Host(
                name=str(worker["name"]),
                address=address,
                machine=said["machine"],
                fingerprint=said["fingerprint"],
                versions=said["versions"],
                roles=said["roles"],
                fit=not reason,
                reason=reason,
                clock_ahead_ns=offset.ahead,
                clock_error_ns=offset.error,
                round_trip_ns=2 * offset.error,
                idle_cpu_share=(more_cpu - cpu) / seconds,
                idle_switches_per_second=(more_switches - switches) / seconds,
                incarnation=said["incarnation"],
            )
        )
    return sorted(found, key=lambda host: host.name)


def _clock(client: Any, address: str) -> Offset:
    exchanges = []
    for _ in range(EXCHANGES):
        asked = time.monotonic_ns()
        there = client.run(time.monotonic_ns, workers=[address])[address]
        exchanges.append(Exchange(asked, there, there, time.monotonic_ns()))
    return offset_of(exchanges)


def mixed(hosts: Sequence[Host]) -> str:
    """Return why the figures of these do not go into one rank; empty: they do."""
    for other in hosts[1:]:
        if found := differences(hosts[0].fingerprint, other.fingerprint):
            return f"{hosts[0].name} and {other.name} differ ({'; '.join(found)})"
    return ""
