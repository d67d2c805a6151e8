"""The verb that tells CI whether a change made a model worse: gate."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.gate import against_commit
from bench.gate import stored as baseline
from bench.gate.config import read
from bench.gate.rounds import PAIRS, PLACEMENT, GateRules, placed, scenario_named
from bench.measure.launch import ROOT
from bench.measure.placement import PLACEMENTS, find_placement
from bench.verbs.common import (
    USAGE,
    Pythons,
    Seed,
    Terminal,
    app,
    chosen_for,
    examples,
    fail,
    interpreters_named,
    named,
    warn,
)
from reports.files import append_out, write_out
from reports.gate.allowances import Allowance, allow
from reports.gate.effects import LEAST_PAIRS
from reports.gate.render.annotations import workflow_commands
from reports.gate.render.files import RENDERERS
from reports.gate.render.markdown import markdown
from reports.gate.render.text import gate_table
from reports.gate.verdicts import GateReport


class Inconclusive(StrEnum):
    """What it is to the caller when the gate cannot tell."""

    PASS = "pass"  # noqa: S105  # no word to log in with
    FAIL = "fail"


File = Path | None


@app.command(
    epilog=examples(
        "gate --base origin/main",
        "gate --base HEAD~1 --changed --junit gate.xml",
        "gate --base v1 --models thread --scenarios echo,churn",
        "gate --against laptop",
        "gate --base HEAD~1 --models thread --python 3.13",
    )
)
def gate(
    base: Annotated[
        str, typer.Option(metavar="REF", help="Compare the working tree with this commit.")
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Compare with a stored baseline; side by side is better."
        ),
    ] = "",
    models: Annotated[
        str, typer.Option(metavar="A,B", help="Measure only these models; empty: all.")
    ] = "",
    scenarios: Annotated[
        str, typer.Option(metavar="A,B", help="Measure under these loads; echo is of 64 B here.")
    ] = "echo",
    changed: Annotated[
        bool, typer.Option("--changed", help="Leave out models none of whose files changed.")
    ] = False,
    python: Pythons = None,
    placement: Annotated[
        str, typer.Option(help=f"Place both sides: {', '.join(PLACEMENTS)}; empty: {PLACEMENT}.")
    ] = "",
    pairs: Annotated[
        int,
        typer.Option(min=LEAST_PAIRS, max=100, help="Start so many pairs of servers in a block."),
    ] = PAIRS,
    inconclusive: Annotated[
        Inconclusive, typer.Option(help="Exit like this when the gate cannot tell.")
    ] = Inconclusive.FAIL,
    allowed: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="TEXT",
            help="Allow 'thread/echo/cpu until 2027-01-31: why'; repeatable.",
        ),
    ] = None,
    enforce: Annotated[
        bool, typer.Option("--enforce", help="Fail also --against a stored baseline.")
    ] = False,
    seed: Seed = None,
    json_file: Annotated[
        File,
        typer.Option("--json", metavar="FILE", help="Write the verdicts as JSON to this file."),
    ] = None,
    markdown_file: Annotated[
        File,
        typer.Option(
            "--markdown", metavar="FILE", help="Write the report as Markdown to this file."
        ),
    ] = None,
    junit_file: Annotated[
        File,
        typer.Option(
            "--junit", metavar="FILE", help="Write the verdicts as JUnit's XML to this file."
        ),
    ] = None,
    benchmark_file: Annotated[
        File,
        typer.Option(
            "--action-benchmark",
            metavar="FILE",
            help="Write the figures as github-action-benchmark's JSON to this file.",
        ),
    ] = None,
) -> None:
    """Say whether a model became worse than at a commit.

    Both the working tree and the commit are measured now.

    Exit code: 0 pass, 1 regression, 2 usage, 3 invalid or crashed, 4 inconclusive, 5 no baseline.
    """
    if bool(base) == bool(against):
        fail("gate needs one of --base REF and --against NAME", USAGE)
    if against and changed:
        fail("--changed compares files, so it goes with --base REF only", USAGE)
    if against and python:
        fail("a baseline was measured under one Python, so --python goes with --base only", USAGE)
    config = read(ROOT / "pyproject.toml")
    allowances = [*config.allowances, *map(Allowance.parse, allowed or ())]
    rules = GateRules(
        pairs=pairs,
        limits_of=config.limits_of,
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    loads = [
        placed(scenario, find_placement(placement) if placement else "")
        for scenario in named(scenarios, scenario_named)
    ]
    interpreters = interpreters_named(python or [])
    asked = chosen_for(models, loads, interpreters)
    if base:
        report = against_commit.judge(
            base,
            ROOT,
            asked.models,
            loads,
            rules,
            changed=changed,
            said=_say,
            interpreters=interpreters,
            cannot=asked.pairs,
        )
    else:
        report = baseline.judge(against, asked.models, loads, rules, enforced=enforce, said=_say)
    report = allow(report, allowances, datetime.now(UTC).date())
    files = {
        "json": json_file,
        "markdown": markdown_file,
        "junit": junit_file,
        "action_benchmark": benchmark_file,
    }
    _publish(report, files)
    raise typer.Exit(report.exit_code(inconclusive_passes=inconclusive is Inconclusive.PASS))


def _say(line: str) -> None:
    Terminal(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def _publish(report: GateReport, files: Mapping[str, Path | None]) -> None:
    """Print the report, write the files that were asked for, and tell a CI what it understands."""
    Terminal().print(gate_table(report))
    for name, path in files.items():
        if path:
            write_out(path, RENDERERS[name](report))
    if os.environ.get("GITHUB_ACTIONS"):
        for line in workflow_commands(report):
            print(line)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        # A step has one summary, and other commands of it may have written to that.
        try:
            append_out(Path(summary), markdown(report))
        except OSError as error:  # what was judged stands, and so does its exit code
            warn(f"the summary of the step cannot be written: {error}")
