"""The verb that shows which Pythons servers can run under, and installs libraries for one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from bench.interpreters.asking import OLDEST as OLDEST_VERSION
from bench.interpreters.environments import install
from bench.interpreters.finding import found, resolve
from bench.measure.launch import ROOT
from bench.verbs.common import (
    TROUBLE,
    USAGE,
    AsJson,
    Terminal,
    app,
    examples,
    fail,
    split_names,
    warn,
)
from bench.verbs.tables import plain_table

OLDEST = ".".join(map(str, OLDEST_VERSION))
COLUMNS = ("name", "version", "GIL", "JIT", "build", "path")

FLAGS = ("free_threaded", "optimized", "debug")


@app.command(
    epilog=examples(
        "interpreters",
        "interpreters --json",
        "interpreters 3.13t:PYTHON_GIL=1 pypy3",
        "interpreters --install models 3.13t",
    )
)
def interpreters(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="List only these, as `run --python` takes them; none: all found."),
    ] = None,
    extra: Annotated[
        str,
        typer.Option("--install", metavar="EXTRA", help="Install it for the one that is named."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the Pythons that servers can run under.

    What each says of itself is beside its name.
    """
    if extra:
        _install(extra, split_names(names or []), as_json)
        return
    if names:
        there = resolve(split_names(names))
        rows = [{**each.to_json(), "serves": True, "reason": ""} for each in there]
    else:
        rows = [each.to_json() for each in found()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = plain_table(COLUMNS, [_cells(row) for row in rows])
    for column in table.columns[:2]:  # the others are folded where the terminal is narrow
        column.no_wrap = True
    Terminal().print(table)
    if too_old := [row["name"] for row in rows if row["reason"]]:
        warn(f"no server runs under {', '.join(too_old)}: servers need Python {OLDEST} or newer")


def _cells(row: dict[str, Any]) -> list[str]:
    flags = [word.replace("_", "-") for word in FLAGS if row[word]]
    return [
        row["name"],
        f"{row['implementation']} {row['version']}",
        _on(row["gil"]) + (", can be off" if row["free_threaded"] and row["gil"] else ""),
        _on(row["jit"]) + (", built" if row["jit_built"] and not row["jit"] else ""),
        ", ".join([row["malloc"], *flags, *([] if row["bits"] == 64 else [f"{row['bits']} bits"])]),
        row["path"],
    ]


def _on(value: bool | None) -> str:  # what a fact says
    return {True: "on", False: "off", None: "unknown"}[value]


def _install(extra: str, names: list[str], as_json: bool) -> None:  # as it was asked
    if len(names) != 1:
        fail("--install takes one interpreter, as in --install models 3.13t", USAGE)
    interpreter = resolve(names)[0]
    console = Terminal(stderr=True)
    done = install(extra, interpreter, ROOT, console.print)
    if as_json:
        print(json.dumps([each._asdict() for each in done], indent=2))
    else:
        rows = [[each.name, each.version or "-", each.reason] for each in done]
        Terminal().print(plain_table(("library", "version", "left out"), rows))
    if not any(each.version for each in done):
        raise typer.Exit(TROUBLE)
