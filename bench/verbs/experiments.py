"""Verbs that run the small experiments and list them: experiment, experiments."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UserError
from bench.experiments.conduct import Asked, conduct
from bench.experiments.lab import EFFORTS
from bench.experiments.registry import EXPERIMENTS, find
from bench.experiments.row import ASKED, Experiment
from bench.experiments.store import FindingsFolder, benchmark_json
from bench.run.conduct import interruptible
from bench.verbs.common import (
    INTERRUPTED,
    RESULTS,
    TROUBLE,
    AsJson,
    Results,
    Terminal,
    app,
    examples,
    interpreters_named,
    named,
    stored_run,
    warn,
)
from bench.verbs.runs import publish_run
from bench.verbs.tables import plain_table
from reports.experiments.record import Finding
from reports.experiments.text import FindingText
from reports.files import replace_whole, write_out
from reports.store import disk_errors

ALL = "all"
OFFERED = [name for name in EFFORTS if name != "least"]
FINDINGS = Path("reports/findings")


class NotAskedError(UserError):
    """What was asked of the experiments cannot be."""


@app.command("experiments", epilog=examples("experiments", "experiments --json"))
def list_them(as_json: AsJson = False) -> None:
    """List the experiments, and the question that each asks."""
    if as_json:
        rows = [{name: getattr(each, name) for name in (*ASKED, "python")} for each in EXPERIMENTS]
        print(json.dumps(rows, indent=2))
        return
    columns = ("name", "section", "question")
    Terminal().print(
        plain_table(columns, [[getattr(row, name) for name in columns] for row in EXPERIMENTS])
    )


@app.command(
    epilog=examples(
        "experiment all --effort quick",
        "experiment creation,switch --json",
        "experiment gil-cpu --python 3.13",
    )
)
def experiment(
    names: Annotated[
        str, typer.Argument(metavar="NAME|all", help="Run this experiment; A,B for several.")
    ],
    effort: Annotated[
        str, typer.Option(help=f"Take so much time: {', '.join(OFFERED)}.")
    ] = "quick",
    as_json: AsJson = False,
    python: Annotated[
        str, typer.Option(metavar="P", help="Measure this interpreter; empty: this one.")
    ] = "",
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings as Markdown, too.")
    ] = None,
    join: Annotated[
        bool, typer.Option("--join", help="Show the timings in the newest run's report.")
    ] = False,
    findings: Annotated[
        Path, typer.Option(metavar="DIR", help="Keep the findings in this folder.")
    ] = FINDINGS,
    results: Results = RESULTS,
) -> None:
    """Run experiments: each ends with a verdict in words.

    All make a page.

    Ctrl-C keeps every experiment that was finished.
    """
    chosen = _chosen(names, python)
    if effort not in EFFORTS:
        raise NotAskedError(f"There is no effort {effort!r}; there are {', '.join(OFFERED)}")
    interpreter, *others = interpreters_named([python] if python else [])
    if others:
        raise NotAskedError("One interpreter is measured at a time: --python takes one")
    run = stored_run(results, None) if join else None
    # What cannot be written is told before anything is measured, and not minutes later.
    if write and (write.is_dir() or not os.access(write.parent, os.W_OK)):
        raise NotAskedError(f"No file can be written at {write}")
    folder = FindingsFolder(findings, effort)
    folder.prepare()
    console = Terminal(stderr=as_json)
    code = 0
    with interruptible():
        try:
            with console.status("starting") as status:

                def kept(finding: Finding, benchmarks: list[dict[str, Any]]) -> None:
                    folder.keep(finding, benchmarks)
                    if not as_json:
                        console.print(FindingText(finding))

                whole = conduct(chosen, Asked(effort, interpreter), status.update, kept)
            code = 0 if whole else TROUBLE
        except KeyboardInterrupt:
            warn("interrupted")
            code = INTERRUPTED
    if as_json:
        made = [each.to_json() for each in folder.findings]
        # One that was asked for by its name is an object; it is missing if it was interrupted.
        alone = names == chosen[0].name and made
        print(json.dumps(made[0] if alone else made, indent=2))
    page = folder.publish()
    if page:
        console.print(f"page: {page}", soft_wrap=True)
    if page and write and code != INTERRUPTED:  # a page of some would take the place of all
        from reports.experiments.markdown import markdown

        command = f".venv/bin/threadmill experiment {names} --effort {effort} --write {write}"
        with disk_errors(f"write the findings into {write}"):
            write_out(write, markdown(folder.findings, command))
    if run and folder.benchmarks:
        replace_whole(run.path / "experiments.json", benchmark_json(folder.benchmarks))
        publish_run(run, console)
    raise typer.Exit(code)


def _chosen(names: str, python: str) -> list[Experiment]:
    """Return the experiments that a list means; what another interpreter cannot run is said."""
    if names != ALL:
        chosen = named(names, find)
        if not chosen:
            raise NotAskedError("No experiment was named; `threadmill experiments` lists them.")
        own = [each.name for each in chosen if python and each.python == "own"]
        if own:
            raise NotAskedError(f"{', '.join(own)}: it measures the suite, under its own Python")
        return chosen
    left_out = [each.name for each in EXPERIMENTS if python and each.python == "own"]
    if left_out:
        warn(f"left out, since they measure the suite under its own Python: {', '.join(left_out)}")
    return [each for each in EXPERIMENTS if each.name not in left_out]
