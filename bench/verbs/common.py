"""What the verbs share: the application, options that several of them have, exit codes, errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from bench.plan.available import choose
from servers.catalog import Model

USAGE = 2
TROUBLE = 3  # a trial failed, or the machine would not do it
NO_BASELINE = 5  # nothing to compare with
INTERRUPTED = 130

app = typer.Typer(
    help="Compare concurrency models: what each can do, and what it costs.",
    epilog="Start with: python -m bench run --profile quick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_Row = TypeVar("_Row")


def examples(*commands: str) -> str:
    """Return the lines that end a verb's help; the backspace keeps them from being rewrapped."""
    return "\n".join(["\b", "Examples:", *(f"  python -m bench {each}" for each in commands)])


Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="The folder that holds the runs.")
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="Of the random orders; drawn and said unless given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RESULTS = Path("reports/runs")


def named(names: str, find: Callable[[str], _Row]) -> list[_Row]:
    """Return the rows that a list `a,b` names, each once."""
    return [find(name) for name in dict.fromkeys(names.replace(",", " ").split())]


def models_named(names: str) -> tuple[Model, ...]:
    """Return the models that a list means; those left out are said on standard error."""
    choice = choose(names)
    for sentence in choice.left_out:
        print(f"threadmill: left out: {sentence}", file=sys.stderr)
    return choice.models


def fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong, and exit."""
    print(f"threadmill: {sentence}", file=sys.stderr)
    sys.exit(code)
