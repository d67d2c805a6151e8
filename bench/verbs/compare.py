"""The verb that holds two results against each other: compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from bench.plan.precision import share
from bench.plan.scenarios import UnknownNameError
from bench.verbs.common import RESULTS, AsJson, Terminal, app, examples, named, stored_run
from bench.verbs.common import Results as ResultsFolder
from reports.files import read_regular
from reports.store import FILE, RunFolder
from reports.trend.compare import (
    Answer,
    Comparison,
    Results,
    Series,
    compare,
    exit_code,
    only_on_one_side,
    warnings,
)
from reports.trend.foreign import (
    InvalidResultsError,
    UnreadableError,
    results_of_json,
    results_of_run,
    run_of,
)
from reports.trend.history import METRICS
from reports.units import duration, number
from reports.untrusted import NotJsonError, UntrustedError, read_json

STYLES = {Answer.WORSE: "bold red", Answer.BETTER: "green", Answer.TOO_FEW: "yellow"}
LATEST = "latest"
MICROSECONDS = {"s": 1e6, "us": 1.0}


@app.command(
    "compare",
    epilog=examples(
        "compare 20261123T181500Z-standard latest",
        "compare before.json after.json --fail-on 5%",
    ),
)
def compare_results(
    a: Annotated[str, typer.Argument(help="A run's id or folder, `latest`, or a JSON file.")],
    b: Annotated[str, typer.Argument(help="The same; pytest-benchmark's JSON and pyperf's, too.")],
    metrics: Annotated[
        str, typer.Option(metavar="A,B", help=f"Of our runs: {', '.join(METRICS)}.")
    ] = ",".join(METRICS),
    fail_on: Annotated[
        str, typer.Option(metavar="5%", help="Exit like the gate when B is worse than A by more.")
    ] = "",
    as_json: AsJson = False,
    results: ResultsFolder = RESULTS,
) -> None:
    """Compare two results that were not measured side by side: ratios B/A, with intervals.

    With --fail-on: 0 not worse, 1 worse, 2 usage, 3 invalid, 4 inconclusive, 5 nothing in common.
    """
    threshold = share(fail_on) if fail_on else None
    asked = named(metrics, _metric)
    one, other = (_load(name, asked, results) for name in (a, b))
    compared = compare(one, other)
    remarks = [*warnings(one, other), *only_on_one_side(one, other)]
    remarks += [
        f"{side.label}: {name}: {why}"
        for side in (one, other)
        for name, why in side.troubles.items()
    ]
    if as_json:
        rows = [comparison.to_json() for comparison in compared]
        print(json.dumps({"a": a, "b": b, "compared": rows, "remarks": remarks}, indent=2))
    else:
        console = Terminal()
        console.print(_table(compared) if compared else "the two have nothing in common")
        for remark in remarks:
            console.print(remark, style="yellow", markup=False, soft_wrap=True)
    raise typer.Exit(exit_code(compared, one, other, threshold))


def _metric(name: str) -> str:
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    return name


def _load(name: str, metrics: Sequence[str], results: Path) -> Results:
    """Return what a user named; StoreError or UnreadableError when it holds no results."""
    path = Path(name)
    if path.is_file() and path.name != FILE:
        return _of_file(name, path, metrics)
    if path.is_file():
        folder = RunFolder(path.parent)
    elif (path / FILE).is_file():
        folder = RunFolder(path)
    else:
        folder = stored_run(results, None if name == LATEST else name)
    run, samples = folder.read()
    return results_of_run(name, run, samples, metrics)


def _of_file(name: str, path: Path, metrics: Sequence[str]) -> Results:
    """Return what a file holds, whatever its name: one JSON document, or the lines of a run."""
    try:
        text = read_regular(path)
    except (OSError, UntrustedError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    try:
        values = read_json(text)
    except NotJsonError:
        return results_of_run(name, *run_of(name, text), metrics)
    except UntrustedError as error:
        raise InvalidResultsError(f"{name} is not as it should be: {error}") from error
    return results_of_json(name, values)


def _table(compared: Sequence[Comparison]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("figure", overflow="fold")
    for heading in ("A", "B", "B/A", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for each in compared:
        known = each.answer is not Answer.TOO_FEW
        table.add_row(
            Text(each.name),
            _write(each.a),
            _write(each.b),
            f"{each.ratio:.3f}",
            f"{each.low:.3f} {each.high:.3f}" if known else "",
            Text(str(each.answer), STYLES.get(each.answer, "")),
        )
    return table


def _write(series: Series) -> str:
    if series.unit in MICROSECONDS:
        return duration(series.value * MICROSECONDS[series.unit])
    # "requests/s" would not fit, and the figure's name says what it is.
    unit = f" {series.unit}" if len(series.unit) <= 4 else ""
    return f"{number(series.value)}{unit}"
