"""The verbs of the history: history, history add."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.plan.scenarios import UnknownNameError
from bench.verbs.common import (
    RESULTS,
    AsJson,
    Results,
    Terminal,
    app,
    examples,
    named,
    stored_run,
    warn,
)
from reports.store import StoreError, figure_errors
from reports.trend.history import TREND_METRICS, Entry, append, entry_of, read, trends
from reports.trend.text import history_table
from servers.catalog import MODELS

DEFAULT = Path("reports/history.jsonl")
HistoryFile = Annotated[
    Path,
    typer.Option(
        "--history", metavar="FILE", help="Keep the history in this file, made to be committed."
    ),
]

histories = typer.Typer(help="Show how figures moved from run to run.")
app.add_typer(histories, name="history")


@histories.callback(
    invoke_without_command=True,
    epilog=examples("history add", "history --metric cpu,p99 --models thread"),
)
def history(
    context: typer.Context,
    metric: Annotated[
        str, typer.Option(metavar="A,B", help=f"Show these: {', '.join(TREND_METRICS)}.")
    ] = "cpu,throughput",
    models: Annotated[str, typer.Option(metavar="A,B", help="Show only these; empty: all.")] = "",
    scenarios: Annotated[
        str, typer.Option(metavar="A,B", help="Show only these; empty: all.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the charts into this folder; empty: beside the history."
        ),
    ] = None,
    as_json: AsJson = False,
    file: HistoryFile = DEFAULT,
) -> None:
    """Print and draw the trend of each model, with gaps where the machine changed."""
    context.default_map = {"add": {"file": str(file)}}  # `history --history FILE add` means FILE
    if context.invoked_subcommand:
        return
    entries, warnings = read(file)
    for warning in warnings:
        warn(warning)
    found = trends(
        entries,
        named(metric, _known("metric", TREND_METRICS)),
        named(models, _known("model", _in_cells(entries, "model"))),
        named(scenarios, _known("scenario", _in_cells(entries, "scenario"))),
    )
    if as_json:
        print(json.dumps([trend.to_json() for trend in found], indent=2))
        return
    Terminal().print(history_table(found))
    from reports.trend.chart import write_charts  # with matplotlib, which takes its time

    families = {row.name: row.family for row in MODELS}
    for path in write_charts(found, families, output or file.parent):
        Terminal().print(f"chart: {path}", markup=False, soft_wrap=True)


def _known(what: str, names: Mapping[str, object]) -> Callable[[str], str]:
    def find(name: str) -> str:
        if name not in names:
            raise UnknownNameError(what, name, names)
        return name

    return find


def _in_cells(entries: Sequence[Entry], field: str) -> dict[str, None]:
    """Return the models or scenarios that the history has; the catalogue may know them no more."""
    return dict.fromkeys(getattr(kept.cell, field) for entry in entries for kept in entry.cells)


@histories.command(epilog=examples("history add", "history add 20261123T181500Z-standard"))
def add(
    run_id: Annotated[str | None, typer.Argument(help="Add this run; the newest if none.")] = None,
    file: HistoryFile = DEFAULT,
    results: Results = RESULTS,
) -> None:
    """Add a stored run to the history."""
    folder = stored_run(results, run_id)
    record, samples = folder.read()
    for warning in folder.warnings:
        warn(warning)
    with figure_errors(folder.path):
        entry = entry_of(record, samples)
    if not entry.cells:
        raise StoreError(f"the run {record.id} has no good trial: there is nothing to add")
    append(file, entry)
    said = f"{record.id} added to {file}; cells: {len(entry.cells)}"
    Terminal().print(said, highlight=False, soft_wrap=True)
