"""The verbs of stored baselines: baseline save, baseline list."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

import typer

from bench.gate.rounds import PLACEMENT, placed, scenario_named
from bench.gate.stored import ADVICE, names, read, save
from bench.measure.placement import PLACEMENTS, find_placement
from bench.run.conduct import interruptible
from bench.verbs.common import (
    INTERRUPTED,
    AsJson,
    Terminal,
    app,
    examples,
    fail,
    models_named,
    named,
)
from bench.verbs.tables import plain_table

baselines = typer.Typer(help="Store runs to hold later ones against.", no_args_is_help=True)
app.add_typer(baselines, name="baseline")


@baselines.command("save", epilog=examples("baseline save laptop", "gate --against laptop"))
def save_baseline(
    name: Annotated[
        str, typer.Argument(help="Store under this name; a known one gets further runs.")
    ],
    runs: Annotated[
        int,
        typer.Option(min=1, max=1_000, help="Make so many runs; judging by them needs at least 4."),
    ] = 8,
    models: Annotated[
        str, typer.Option(metavar="A,B", help="Measure only these models; empty: all.")
    ] = "",
    scenarios: Annotated[
        str, typer.Option(metavar="A,B", help="Measure under these loads; echo is of 64 B here.")
    ] = "echo",
    placement: Annotated[
        str, typer.Option(help=f"Place both sides: {', '.join(PLACEMENTS)}; empty: {PLACEMENT}.")
    ] = "",
) -> None:
    """Measure and store runs for `gate --against NAME`.

    The servers are the working tree's.
    About 25 s a run for all models. Runs of other days make it the better.
    """
    loads = [
        placed(scenario, find_placement(placement) if placement else "")
        for scenario in named(scenarios, scenario_named)
    ]
    lines = Terminal(stderr=True)
    try:
        with interruptible():
            path = save(
                name,
                models_named(models, loads),
                loads,
                runs=runs,
                seed=secrets.randbelow(2**31),
                said=lambda line: lines.print(line, markup=False, highlight=False, soft_wrap=True),
            )
    except KeyboardInterrupt:
        fail("interrupted; whole runs are stored, the one under way is not", INTERRUPTED)
    print(f"{len(read(name))} runs in {path}; {ADVICE}")


@baselines.command("list", epilog=examples("baseline list", "baseline list --json"))
def list_baselines(as_json: AsJson = False) -> None:
    """List the stored baselines."""
    rows: list[dict[str, Any]] = []
    for name in names():
        runs = read(name)
        last = runs[-1]
        rows.append(
            {
                "name": name,
                "runs": len(runs),
                "last": last.started,
                "commit": last.commit,
                "cells": sorted(cell.name for cell in last.figures),
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = [
        (row["name"], str(row["runs"]), row["last"][:16], row["commit"], ", ".join(row["cells"]))
        for row in rows
    ]
    Terminal().print(plain_table(("name", "runs", "last", "commit", "cells"), shown))
