"""The verb that lists a cluster's hosts, and the way from `--cluster` to where trials are run."""

from __future__ import annotations

__all__ = ["Cluster", "ClusterTls", "placed"]

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.table import Table

from bench.errors import UserError
from bench.measure.placement import Placement
from bench.run.conduct import Place
from bench.verbs.common import TROUBLE, AsJson, Terminal, app, examples, fail

Cluster = Annotated[
    str,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Measure on this Dask scheduler's workers; local:N: here.",
    ),
]
ClusterTls = Annotated[
    str, typer.Option(metavar="CA,CERT,KEY", help="Use these files with a scheduler that has TLS.")
]


class NoClusterError(UserError):
    """An option that needs a cluster."""


@app.command(epilog=examples("hosts --cluster local:2", "hosts --cluster local:2 --json"))
def hosts(cluster: Cluster, cluster_tls: ClusterTls = "", as_json: AsJson = False) -> None:
    """List the hosts of a cluster, and why one is not fit."""
    from bench.cluster.connecting import connected
    from bench.cluster.hosts import hosts_of

    with connected(cluster, cluster_tls) as client:
        found = hosts_of(client)
    if as_json:
        print(json.dumps([dataclasses.asdict(host) for host in found], indent=2))
    else:
        table = Table("host", "address", "roles", "CPU", "kernel", "clock", "round trip", "idle")
        for host in found:
            table.add_row(
                host.name,
                host.address,
                " ".join(host.roles),
                f"{host.fingerprint['cpus_allowed']} x {host.fingerprint['cpu']}",
                host.fingerprint["kernel"],
                f"{host.clock_ahead_ns / 1e6:+.2f} ms",
                f"{host.round_trip_ns / 1e6:.2f} ms",
                f"{host.idle_cpu_share:.1%}, {host.idle_switches_per_second:.0f} switches/s",
            )
        Terminal().print(table)
    if unfit := [f"{host.name}: {host.reason}" for host in found if not host.fit]:
        fail("; ".join(unfit), TROUBLE)


@contextlib.contextmanager
def placed(
    cluster: str,
    tls: str,
    spread: bool,
    cpus: Placement | None,
    say: Callable[[str], object],
) -> Iterator[Place | None]:
    """Yield where a run's trials go; None: here."""
    if not cluster:
        if tls or spread:
            raise NoClusterError("--spread and --cluster-tls go with --cluster")
        yield None
        return
    from bench.cluster.away import Away
    from bench.cluster.connecting import ClusterError, connected
    from bench.cluster.hosts import hosts_of, mixed

    with connected(cluster, tls) as client:
        found = hosts_of(client)
        for host in found:
            if not host.fit:
                raise ClusterError(f"host {host.name} cannot take part: {host.reason}")
        if spread and (reason := mixed(found)):
            raise ClusterError(f"hosts that differ are never in one rank: {reason}")
        yield Away(client, found if spread else found[:1], cpus, say)
