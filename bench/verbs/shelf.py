"""Verbs that tell a stored run to somebody: chart for a slide, site for a host."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError
from bench.plan.scenarios import UnknownNameError
from bench.verbs.common import RESULTS, AsJson, Results, Terminal, app, examples, stored_run, warn
from bench.verbs.tables import plain_table
from reports.files import replace_whole
from reports.store import Store, StoreError, disk_errors
from servers.catalog import MODELS

SUFFIXES = ("png", "svg")


@app.command(
    epilog=examples("chart --list", "chart throughput --scenario echo --theme dark --output a.svg")
)
def chart(
    kind: Annotated[str, typer.Argument(help="Draw a chart of this kind; --list names them.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the kinds, and exit.")] = False,
    run_id: Annotated[
        str, typer.Option("--run", metavar="RUN", help="Draw this run; empty: the newest.")
    ] = "",
    scenario: Annotated[
        str, typer.Option(help="Draw this scenario; empty: the first of the run.")
    ] = "",
    models: Annotated[
        str, typer.Option(metavar="A,B", help="Draw only these; empty: the best ten.")
    ] = "",
    theme: Annotated[str, typer.Option(help="Use these colours: light or dark.")] = "light",
    width: Annotated[
        int, typer.Option(min=320, max=7_680, help="Draw so many pixels across; 16:9.")
    ] = 1920,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file, .png or .svg.")
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Draw one chart for a slide.

    It is 16:9, with letters that are read from the back of a room.
    """
    from reports.cells.report import read_report
    from reports.shelf.slide import KINDS, THEMES, slide

    if listed:
        rows = [{"kind": name, "shows": row.says} for name, row in KINDS.items()]
        if as_json:
            print(json.dumps(rows, indent=2))
        else:
            Terminal().print(plain_table(("kind", "shows"), [list(row.values()) for row in rows]))
        return
    if kind not in KINDS:
        raise UserError(f"a chart is one of {', '.join(KINDS)}, not {kind!r}")
    if theme not in THEMES:
        raise UnknownNameError("theme", theme, THEMES)
    path = output or Path(f"{kind}.png")
    if path.suffix.lstrip(".") not in SUFFIXES:
        raise UserError(f"a chart is written as .png or .svg, not as {path.name!r}")
    report = read_report(stored_run(results, run_id or None))
    known = {workload.scenario: workload for workload in reversed(report.workloads)}
    if scenario and scenario not in known:
        raise UnknownNameError("scenario of this run", scenario, known)
    if not known:
        raise StoreError(f"the run {report.run.id} has no trial to draw")
    wanted = re.findall(r"[^,\s]+", models)
    for name in wanted:
        if name not in report.run.models:
            raise UnknownNameError("model of this run", name, dict.fromkeys(report.run.models))
    workload = known[scenario] if scenario else report.workloads[0]
    render = slide(report, kind, workload, wanted, theme, width)
    if render is None:
        raise StoreError(f"no model has this figure under {workload.scenario}")
    with disk_errors(f"write {path}"):
        replace_whole(path, render(path.suffix.lstrip(".")))
    Terminal().print(f"chart: {path}", markup=False, soft_wrap=True)


@app.command(epilog=examples("site public", "site public --history reports/history.jsonl"))
def site(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Write the pages into this folder.")
    ],
    history: Annotated[
        Path, typer.Option(metavar="FILE", help="Draw trends from this history, if it is there.")
    ] = Path("reports/history.jsonl"),
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Write all stored runs as pages for a static host.

    An index, the trends and the report of each run. They work from a folder, too.
    """
    from reports.shelf.site import build

    store = Store(results)
    families = {row.name: row.family for row in MODELS}
    built = build(store, history, folder, families, Terminal(stderr=True).print)
    for warning in [*store.warnings, *built.warnings]:
        warn(warning)
    if as_json:
        print(json.dumps(built.to_json(), indent=2))
    else:
        Terminal().print(f"site: {folder / 'index.html'}", markup=False, soft_wrap=True)
