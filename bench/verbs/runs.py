"""Verbs that make runs and draw them: run, report.

Drawing libraries take a second to import, so they are imported only where something is drawn.
"""

from __future__ import annotations

__all__ = ["EXIT_CODES", "publish_run"]

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from bench.across.trial import Across, Roles, RolesError, roles_named, side_by_side
from bench.measure.placement import PLACEMENTS, allowed_cpus, chosen, find_placement
from bench.plan.precision import DEFAULT_BUDGET, seconds, share, switch_seconds
from bench.plan.scenarios import PROFILES, Profile, find_profile, find_scenario
from bench.run import session
from bench.run.conduct import RunOutcome
from bench.run.session import Request
from bench.verbs.common import (
    INTERRUPTED,
    RESULTS,
    TROUBLE,
    AsJson,
    Pythons,
    Results,
    Seed,
    Terminal,
    app,
    chosen_for,
    examples,
    interpreters_named,
    named,
    stored_run,
    warn,
)
from bench.verbs.hosts import Cluster, ClusterTls, placed
from bench.verbs.results import known_metric, load_results
from reports.files import replace_whole
from reports.store import RunFolder, disk_errors
from reports.trend.history import TREND_METRICS

EXIT_CODES = {
    RunOutcome.COMPLETE: 0,
    RunOutcome.FAILED: TROUBLE,
    RunOutcome.INTERRUPTED: INTERRUPTED,
}


@app.command(
    epilog=examples(
        "run",
        "run --profile quick",
        "run --models thread,asyncio --scenarios echo --blocks 3",
        "run --scenarios rate,curve --precision 5% --budget 10m",
        "run --models threads --scenarios compute --python 3.12,3.13",
        "run --profile quick --placement same",
    )
)
def run(
    profile: Annotated[str, typer.Option(help=f"Run so much: {', '.join(PROFILES)}.")] = "standard",
    models: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Measure these models or families, or all; empty: the eight classics.",
        ),
    ] = "",
    scenarios: Annotated[
        str, typer.Option(metavar="A,B", help="Run only these scenarios; empty: the profile's.")
    ] = "",
    python: Pythons = None,
    switch_interval: Annotated[
        str,
        typer.Option(
            metavar="5ms,0.5ms", help="Have threads keep the GIL so long: each of these in turn."
        ),
    ] = "",
    blocks: Annotated[int | None, typer.Option(min=1, help="Run each cell so often.")] = None,
    window: Annotated[
        float | None, typer.Option(min=0.01, max=3600, help="Measure so many seconds of a trial.")
    ] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(min=0.01, max=3600, help="Load the server for so many seconds before that."),
    ] = None,
    seed: Seed = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, help="Give pools so many workers; 0: 64, as their rows say."
        ),
    ] = 0,
    placement: Annotated[
        str,
        typer.Option(help=f"Place every scenario: {', '.join(PLACEMENTS)}; empty: their own way."),
    ] = "",
    server_cpus: Annotated[
        str,
        typer.Option(metavar="0,2-3", help="Keep the server on these CPUs, with --client-cpus."),
    ] = "",
    client_cpus: Annotated[
        str, typer.Option(metavar="1", help="Keep the generator on these CPUs, with --server-cpus.")
    ] = "",
    precision: Annotated[
        str, typer.Option(metavar="5%", help="Add blocks until throughputs are this certain.")
    ] = "",
    budget: Annotated[
        str, typer.Option(metavar="10m", help="Give --precision up after this time.")
    ] = DEFAULT_BUDGET,
    cluster: Cluster = "",
    cluster_tls: ClusterTls = "",
    spread: Annotated[
        bool, typer.Option("--spread", help="Send blocks to all hosts of --cluster, not to one.")
    ] = False,
    server_host: Annotated[
        str, typer.Option(metavar="NAME", help="Run servers on the host of this worker.")
    ] = "",
    client_hosts: Annotated[
        str,
        typer.Option(metavar="A,B", help="Run a generator on the host of each of these workers."),
    ] = "",
    results: Results = RESULTS,
) -> None:
    """Measure models under scenarios, and write the report.

    Ctrl-C stops the servers and reports the trials that were finished.
    """
    asked = find_profile(profile).narrowed(named(scenarios, find_scenario), blocks, window)
    if warm_up:
        asked = dataclasses.replace(asked, warm_up_seconds=warm_up)
    cpus = chosen(server_cpus, client_cpus, allowed_cpus())
    if intervals := named(switch_interval, switch_seconds):
        asked = asked.switching(intervals)
    roles = roles_named(server_host, client_hosts, cluster, bool(python or cpus))
    if roles:
        asked = side_by_side(asked, roles)
    asked = _within(asked, len(cpus.server if cpus else allowed_cpus()))
    interpreters = interpreters_named(python or [])
    choice = chosen_for(models, asked.scenarios, interpreters)
    everywhere = find_placement(placement) if placement else cpus.name if cpus else ""
    request = Request(
        profile=asked.placed(everywhere) if everywhere else asked,
        models=choice.models,
        interpreters=interpreters,
        left_out=choice.pairs,
        workers=workers,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        cpus=cpus or allowed_cpus(),
        placement=everywhere,
        precision=share(precision) if precision else 0.0,
        budget_seconds=seconds(budget),
    )
    console = Terminal()
    if roles and (spread or cluster_tls):
        raise RolesError(
            "--spread and --cluster-tls do not go with --server-host: they are for blocks"
        )
    alone = "" if roles else cluster
    with (
        _on_hosts(request, cluster, roles) as across,
        placed(alone, cluster_tls, spread, cpus, warn) as place,
    ):
        folder, outcome = session.run(across, results, console, place)
    if outcome is RunOutcome.INTERRUPTED:
        console.print("interrupted")
    publish_run(folder, console)
    raise typer.Exit(EXIT_CODES[outcome])


@contextlib.contextmanager
def _on_hosts(request: Request, cluster: str, roles: Roles | None) -> Iterator[Request]:
    """Give the request, for the time of which its hosts are there; without roles as it is."""
    if roles is None:
        yield request
        return
    from bench.cluster import parts  # and Dask with it, for who asks

    with parts.cluster(cluster) as hosts:
        hosts.check(roles.server, *roles.clients)
        across = Across(hosts, roles, hosts.address)
        yield dataclasses.replace(request, trying=across.measure, hosts=across.visit())


def _within(asked: Profile, cpus: int) -> Profile:
    """Return what the CPUs of this machine suffice for, and say what they do not."""
    fitting = asked.within(cpus)
    for row in asked.scenarios:
        if row not in fitting.scenarios:
            warn(f"left out: {row.name} on {row.serving.cpus} CPUs, and there are {cpus}")
    return fitting


def publish_run(folder: RunFolder, console: Console) -> None:
    """Write the report of a run, and say what is in it and where it is."""
    from reports.cells.report import read_report
    from reports.page.publish import prepare, publish
    from reports.page.text import Summary

    prepare(folder)
    with console.status("reading the run"):
        report = read_report(folder)
    for warning in folder.warnings:
        console.print(f"threadmill: {warning}", style="yellow", markup=False)
    if not report.workloads:
        console.print("no trial was finished, so there is nothing to report")
        return
    with console.status("writing the report") as status:
        publish(folder, report, on_step=lambda words: status.update(Text(words)))
    console.print(Summary(report))
    if report.failed:
        console.print(
            f"{report.failed} of {report.trials} trials failed; the report says why", style="red"
        )
    console.print(f"report: {folder.path / 'report.html'}", markup=False, soft_wrap=True)


@app.command(
    epilog=examples(
        "report",
        "report latest",
        "report 20261123T181500Z-standard 20261124T181500Z-standard",
        "report before.json after.json --output both.html",
    )
)
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Report this run (`latest` if none is named), or several and JSON files.",
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(metavar="A,B", help=f"Show these of several: {', '.join(TREND_METRICS)}."),
    ] = ",".join(TREND_METRICS),
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page of several results to this file."),
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Redraw a stored run's report, or put several side by side.

    One run is drawn again without measuring. Several runs, or JSON of pytest-benchmark and pyperf,
    become one page: a panel for each machine, a column for each result.
    """
    names = runs or []
    foreign = names and Path(names[0]).is_file()
    if len(names) < 2 and not foreign:
        _report_one(stored_run(results, names[0] if names else None), as_json=as_json)
        return
    from reports.shelf.pages import several_page
    from reports.shelf.several import several

    asked = named(metrics, known_metric)
    found = several([load_results(name, asked, results) for name in names])
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
        return
    path = output or results.parent / "several.html"
    with disk_errors(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, several_page(found))
    console = Terminal()
    for remark in found.remarks:
        console.print(remark, style="yellow", markup=False, soft_wrap=True)
    console.print(f"report: {path}", markup=False, soft_wrap=True)


def _report_one(folder: RunFolder, *, as_json: bool) -> None:
    """Draw a run again; or print the rows of its summary.csv as JSON, and write nothing."""
    if not as_json:
        publish_run(folder, Terminal())
        return
    from reports.cells.frames import summary_frame
    from reports.cells.report import read_report

    print(summary_frame(read_report(folder)).to_json(orient="records", indent=2))
