"""The verb that answers which model suits a load, from a stored run: advise."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from bench.errors import UserError
from bench.verbs.common import RESULTS, AsJson, Results, Terminal, app, examples, stored_run
from bench.verbs.tables import plain_table
from reports.store import StoreError
from reports.units import MISSING

Count = Annotated[
    int | None, typer.Option(min=1, max=10_000_000, help="Serve so many connections at a time.")
]


@app.command(
    epilog=examples(
        "advise",
        "advise --connections 500 --think 100 --memory 64 --p99 20",
        "advise --request short --json",
    )
)
def advise(
    run_id: Annotated[str | None, typer.Argument(help="Ask this run; the newest if none.")] = None,
    connections: Count = None,
    request: Annotated[
        str | None, typer.Option(help="Serve requests of this kind: small, big, wait or short.")
    ] = None,
    think: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="Pause so many ms before the next request.")
    ] = None,
    cpu: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="Need so many us of CPU for a request.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="Take no more MiB; 0: any number.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=0, max=100_000, help="Use no more cores; 0: any number.")
    ] = None,
    p99: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="Answer 99% within so many ms; 0: any.")
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Say which model suits a load.

    Without an option it asks six questions, at a terminal. The answer is a stored run's, with
    what that could not know.
    """
    from reports.cells.report import read_report
    from reports.shelf.advice import QUESTIONS, REQUESTS, Asked
    from reports.shelf.advice import advise as advice_of

    given: dict[str, Any] = {
        "connections": connections, "request": request, "think_ms": think, "cpu_us": cpu,
        "memory_mib": memory, "cores": cores, "p99_ms": p99,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if not given and not as_json and sys.stdin.isatty():
        given = _answers(QUESTIONS)
    if given.get("request", "small") not in REQUESTS:
        raise UserError(f"a request is {', '.join(REQUESTS)}, not {given['request']!r}")
    advice = advice_of(read_report(stored_run(results, run_id)), Asked()._replace(**given))
    if advice is None:
        raise StoreError("this run has no workload that compares models")
    if as_json:
        print(json.dumps(advice.to_json(), indent=2))
        return
    console = Terminal()
    console.print(advice.sentence, style="bold", soft_wrap=True)
    for words in advice.distance:
        console.print(f"not as asked: {words}", style="yellow", soft_wrap=True)
    titles = list(dict.fromkeys(title for each in advice.candidates for title in each.figures))
    rows = [
        [each.model, *(each.figures.get(title, MISSING) for title in titles)]
        for each in advice.candidates
    ]
    table = plain_table(["model", *titles], rows)
    table.columns[0].no_wrap = True  # the others are folded where the terminal is narrow
    console.print(table)
    for each in advice.candidates:
        for words in each.against:
            console.print(f"{each.model} falls out: {words}", soft_wrap=True)
        for words in each.untold:
            console.print(f"{each.model}, not decided: {words}", soft_wrap=True)
    for words in advice.unknown:
        console.print(f"not known: {words}", soft_wrap=True)


def _answers(questions: dict[str, str]) -> dict[str, Any]:
    """Ask at the terminal; what is left empty stays as it is unless told."""
    given: dict[str, Any] = {}
    for field, question in questions.items():
        words = typer.prompt(question, default="", show_default=False).strip()
        if not words:
            continue
        if field == "request":
            kind, _, pause = words.partition(",")
            given["request"] = kind.strip()
            if pause.strip():
                given["think_ms"] = _number(pause)
        else:
            whole = field in {"connections", "cores"}
            given[field] = int(_number(words)) if whole else _number(words)
    return given


def _number(words: str) -> float:
    try:
        value = float(words)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e9:
        raise UserError(f"a number from 0 to a thousand million is wanted, not {words[:40]!r}")
    return value
