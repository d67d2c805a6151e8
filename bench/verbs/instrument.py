"""Verbs that ask one question of the models or of the instrument itself: capacity, selftest."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.capacity.climb import CutShort, search
from bench.capacity.promise import Promise
from bench.capacity.text import capacity_table
from bench.measure.placement import allowed_cpus
from bench.plan.order import cells
from bench.plan.scenarios import find_load
from bench.run.conduct import interruptible
from bench.verbs.common import (
    INTERRUPTED,
    TROUBLE,
    AsJson,
    Terminal,
    app,
    examples,
    fail,
    models_named,
)


@app.command(
    epilog=examples("capacity --slo p99=20ms", "capacity --slo p90=2ms --models thread,asyncio")
)
def capacity(
    slo: Annotated[
        str,
        typer.Option(metavar="p99=20ms", help="Promise this: p50, p90, p99 or p999, and a limit."),
    ],
    scenario: Annotated[str, typer.Option(help="Search under this load.")] = "echo",
    models: Annotated[
        str, typer.Option(metavar="A,B", help="Search for only these models; empty: all.")
    ] = "",
    workers: Annotated[
        int,
        typer.Option(min=0, max=10_000, help="Give pools so many workers; 0: as their rows say."),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Find the highest rate at which a model keeps a promise.

    The promise is about response times, counted from when a request was due; the rate itself must
    be sustained, too. About 20 s for each model.
    """
    promise = Promise.parse(slo)
    loads = [find_load(scenario)]
    paired = cells(models_named(models, loads), loads, workers)
    lines = Terminal(stderr=True)
    interrupted = False
    try:
        with interruptible():
            answers = search(
                paired,
                promise,
                allowed_cpus(),
                lambda line: lines.print(line, markup=False, highlight=False, soft_wrap=True),
            )
    except CutShort as cut:
        answers, interrupted = cut.answers, True
        lines.print("interrupted: the intervals are as wide as the search had left them")
    if as_json:
        print(json.dumps([answer.to_json() for answer in answers], indent=2))
    else:
        Terminal().print(capacity_table(answers, scenario, slo))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command(epilog=examples("selftest"))
def selftest(as_json: AsJson = False) -> None:
    """Check the instrument against known answers.

    It takes about two minutes, and fails loudly.

    Servers whose delays, stalls and limits are known are measured like any other.
    """
    from bench.check.selftest import CHECKS, run_checks

    if len(allowed_cpus()) < 2:
        fail("the selftest needs 2 CPUs: server and generator each watch the clock", TROUBLE)
    console = Terminal(stderr=as_json)
    with interruptible():
        outcomes = run_checks(
            CHECKS, lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
        )
    if as_json:
        print(json.dumps([outcome._asdict() for outcome in outcomes], indent=2))
    if broken := [outcome.name for outcome in outcomes if not outcome.ok]:
        console.print(f"FAILED: {', '.join(broken)}", style="bold red", markup=False)
        raise typer.Exit(1)
    console.print(f"all {len(outcomes)} answers are as they must be")
