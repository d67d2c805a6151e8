"""The verb that holds two results against each other: compare."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.plan.precision import share
from bench.verbs.common import RESULTS, AsJson, Terminal, app, examples, named
from bench.verbs.common import Results as ResultsFolder
from bench.verbs.results import known_metric, load_results
from reports.trend.compare import (
    compare,
    exit_code,
    only_on_one_side,
    verdict_of,
    warnings,
)
from reports.trend.compare_text import comparison_json, comparison_table
from reports.trend.history import TREND_METRICS


@app.command(
    "compare",
    epilog=examples(
        "compare 20261123T181500Z-standard latest",
        "compare before.json after.json --fail-on 5%",
    ),
)
def compare_results(
    a: Annotated[
        str,
        typer.Argument(help="Compare with this: a run's id or folder, `latest`, or a JSON file."),
    ],
    b: Annotated[
        str, typer.Argument(help="Compare this; JSON may be pytest-benchmark's or pyperf's, too.")
    ],
    metrics: Annotated[
        str,
        typer.Option(metavar="A,B", help=f"Show these of our runs: {', '.join(TREND_METRICS)}."),
    ] = ",".join(TREND_METRICS),
    fail_on: Annotated[
        str, typer.Option(metavar="5%", help="Exit like the gate when B is worse than A by more.")
    ] = "",
    as_json: AsJson = False,
    results: ResultsFolder = RESULTS,
) -> None:
    """Compare two results that were measured at different times.

    It prints ratios B/A, with intervals.

    With --fail-on: 0 not worse, 1 worse, 2 usage, 3 invalid, 4 inconclusive, 5 nothing in common.
    """
    threshold = share(fail_on) if fail_on else None
    asked = named(metrics, known_metric)
    one, other = (load_results(name, asked, results) for name in (a, b))
    compared = compare(one, other)
    remarks = [*warnings(one, other), *only_on_one_side(one, other)]
    remarks += [
        f"{side.label}: {name}: {why}"
        for side in (one, other)
        for name, why in side.troubles.items()
    ]
    if as_json:
        print(json.dumps(comparison_json(a, b, compared, remarks), indent=2))
    else:
        console = Terminal()
        console.print(comparison_table(compared))
        for remark in remarks:
            console.print(remark, style="yellow", markup=False, soft_wrap=True)
    code = exit_code(compared, one, other, threshold)
    if verdict := verdict_of(code, threshold):
        # Of JSON the figures are all that is on standard output.
        Terminal(stderr=as_json).print(verdict, markup=False, soft_wrap=True)
    raise typer.Exit(code)
