"""`make cluster-demo`: a cluster on one machine, hosts in network namespaces, and a run over it.

A scheduler, the conductor, a server's host and two that drive load are on a switch of their own,
and the last has a clock that is five seconds ahead. Every cell is measured over loopback, over the
network as it comes, and over one whose link to the server is shaped. It takes root, and ends with
nothing left of any of it.
"""

from __future__ import annotations

__all__ = ["main"]

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.across.namespaces import Lan, NamespaceError, lan
from bench.across.trial import Across, Roles, side_by_side
from bench.cluster.parts import cluster
from bench.measure.launch import ROOT
from bench.measure.placement import allowed_cpus
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.scenarios import PROFILES, SCENARIOS
from bench.run import session
from bench.run.session import Request
from bench.verbs.common import RESULTS, TROUBLE, Terminal, fail
from bench.verbs.runs import EXIT_CODES, publish_run
from reports.record import Sample
from servers.catalog import find

SCHEDULER, CONDUCTOR, SERVER, CLIENTS = "scheduler", "conductor", "server", ("one", "two")
PORT = 8786
END_SECONDS = 5.0
SHAPED_MBIT = 20
MODELS = ("thread", "asyncio")
PROFILE = dataclasses.replace(
    PROFILES["quick"], scenarios=(SCENARIOS["echo"],), blocks=3, window_seconds=0.5
)
DASK = (
    "distributed.scheduler.dashboard.status.task-stream-length=1",
    "distributed.worker.profile.interval=1h",
    "distributed.worker.profile.cycle=1h",
    "distributed.admin.system-monitor.interval=1h",
    "distributed.admin.tick.interval=1h",
)
"""Intervals of a worker that has nothing to do but to wait."""


@contextlib.contextmanager
def running(command: Sequence[str], words: Path) -> Iterator[None]:
    """Have a process run that writes its words into a file, and end it."""
    with words.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def dask(net: Lan, folder: Path) -> Iterator[str]:
    """Run a scheduler and the workers, each on its host, and give the scheduler's address."""
    address = f"tcp://{net.address(SCHEDULER)}:{PORT}"
    with contextlib.ExitStack() as stack:

        def start(host: str, module: str, *words: str) -> None:
            command = [*net.prefix(host), sys.executable, "-m", f"distributed.cli.{module}", *words]
            stack.enter_context(running(command, folder / f"{host}.log"))

        listens = ("--host", net.address(SCHEDULER), "--port", str(PORT), "--no-dashboard")
        start(SCHEDULER, "dask_scheduler", *listens)
        for host in (SERVER, *CLIENTS):
            alone = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard")
            where = ("--name", host, "--host", net.address(host), "--local-directory", str(folder))
            start(host, "dask_worker", address, *alone, *where)
        yield address


def floor(across: Across, clients: tuple[str, ...]) -> str:
    """Return what the null server answers when so many hosts drive it, in a sentence."""
    scenario = dataclasses.replace(SCENARIOS["echo"], generators=len(clients))
    trial = PlannedTrial(PlannedCell(find("thread"), scenario, 0), block=1)
    alone = dataclasses.replace(across, roles=Roles(SERVER, clients))
    sample = alone.measure(trial, PROFILE, "", null=True)
    return f"the null server, {' and '.join(clients)}: {_told(sample)}"


def _told(sample: Sample) -> str:
    if sample.failure:
        return sample.failure
    rate, server = sample.tally.throughput, sample.server_cpu_seconds / sample.tally.seconds
    busy = ", ".join(
        f"{each.name} {each.cpu_seconds / sample.tally.seconds:.0%}"
        for each in sample.topology.generators
    )
    return f"{rate:,.0f} requests/s, server {server:.0%} of a core, {busy}"


def main() -> None:
    """Show it."""
    console = Terminal()
    roles = Roles(SERVER, CLIENTS)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="threadmill-") as folder,
            lan([SCHEDULER, CONDUCTOR, SERVER, *CLIENTS], clocks={CLIENTS[1]: 5.0}) as net,
            dask(net, Path(folder)) as address,
            net.within(CONDUCTOR),
            cluster(address) as hosts,
        ):
            hosts.client.wait_for_workers(1 + len(CLIENTS), timeout=60)
            shaped = f"{SHAPED_MBIT} Mbit/s"
            across = Across(
                hosts,
                roles,
                hosts.address,
                prepare=lambda network: net.shape(SERVER, SHAPED_MBIT if network else 0),
            )
            for clients in (CLIENTS[:1], CLIENTS):
                console.print(floor(across, clients))
            request = Request(
                profile=side_by_side(PROFILE, roles, ("", shaped)),
                models=[find(name) for name in MODELS],
                workers=0,
                seed=0,
                cpus=allowed_cpus(),
                placement="",
                precision=0.0,
                budget_seconds=0.0,
                trying=across.measure,
                hosts=across.visit(),
            )
            run, outcome = session.run(request, RESULTS, console)
    except NamespaceError as error:
        fail(str(error), TROUBLE)
    publish_run(run, console)
    sys.exit(EXIT_CODES[outcome])


if __name__ == "__main__":
    main()
