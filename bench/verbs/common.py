"""What the verbs share: the application, options that several of them have, exit codes, errors."""

from __future__ import annotations

__all__ = [
    "INTERRUPTED",
    "RESULTS",
    "TROUBLE",
    "USAGE",
    "AsJson",
    "Pythons",
    "Results",
    "Seed",
    "Terminal",
    "app",
    "chosen_for",
    "examples",
    "fail",
    "interpreters_named",
    "models_named",
    "named",
    "split_names",
    "stored_run",
    "warn",
]

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from bench.errors import INTERRUPTED, TROUBLE, USAGE
from bench.interpreters.environments import with_libraries
from bench.interpreters.finding import resolve
from bench.interpreters.named import OWN, Interpreter
from bench.measure.launch import ROOT
from bench.plan.available import Choice, choose, reached
from bench.plan.scenarios import Scenario
from reports.store import RunFolder, Store
from reports.untrusted import for_terminal, visible
from servers.catalog import Model

MOST_LETTERS = 2_000  # of a sentence

app = typer.Typer(
    help="Compare concurrency models: what each can do, and what it costs.",
    epilog="Start with: python -m bench run --profile quick",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_Row = TypeVar("_Row")


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # reads the installed packages, for who asks

        print(f"threadmill {version('threadmill')}")
        raise typer.Exit


@app.callback()
def threadmill(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_say_version, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Compare concurrency models: what each can do, and what it costs."""


def examples(*commands: str) -> str:
    """Return the lines that end a verb's help; the backspace keeps them from being rewrapped."""
    return "\n".join(["\b", "Examples:", *(f"  python -m bench {each}" for each in commands)])


Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Find the runs in this folder.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, max=2**63 - 1, help="Seed the random orders with this; drawn and said unless given."
    ),
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python", metavar="A,B", help="Run servers under these, in turns: 3.13, 3.13t, a path."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RESULTS = Path("reports/runs")


def named(names: str, find: Callable[[str], _Row]) -> list[_Row]:
    """Return the rows that a list `a,b` names, each once."""
    return [find(name) for name in dict.fromkeys(names.replace(",", " ").split())]


def models_named(names: str, scenarios: Sequence[Scenario]) -> tuple[Model, ...]:
    """Return the models that a list means and that one of the scenarios reaches.

    Those left out are said on standard error.
    """
    return chosen_for(names, scenarios, (OWN,)).models


def chosen_for(
    names: str, scenarios: Sequence[Scenario], interpreters: Sequence[Interpreter]
) -> Choice:
    """Return the same for several interpreters, with the pairs that cannot run."""
    transports = {scenario.load.transport for scenario in scenarios}
    choice = choose(names, interpreters, transports)
    under_load = reached(choice.models, scenarios)
    for sentence in (*choice.left_out, *under_load.left_out):
        warn(f"left out: {sentence}")
    return under_load._replace(pairs=choice.pairs)


def interpreters_named(names: Sequence[str]) -> tuple[Interpreter, ...]:
    """Return the interpreters that `--python A,B` means; without any, ours, which has no name."""
    asked = resolve(split_names(names))
    return tuple(with_libraries(each, ROOT) for each in asked) or (OWN,)


def split_names(names: Sequence[str]) -> list[str]:
    """Return the names in lists `A,B` of interpreters, each of which may be a path with blanks."""
    return [name for each in names for name in each.split(",") if name]


class Terminal(Console):
    """The console of every verb: what it prints may come from a file that anybody wrote.

    Nothing in a text is markup, an emoji's name or a control of the terminal: what cannot be
    printed is spelled out, wherever it comes from, and within the width that it was given.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of a renderable; rich asks for those of its parts here as well."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                lines = "\n".join(map(visible, segment.text.split("\n")))
                yield Segment(lines, segment.style)


def stored_run(results: Path, run_id: str | None) -> RunFolder:
    """Return the folder of a run; the neighbours that are none are said."""
    store = Store(results)
    folder = store.open(run_id)
    for warning in store.warnings:
        warn(warning)
    return folder


def warn(sentence: str) -> None:
    """Say what is not as it should be, on standard error."""
    print(f"threadmill: {for_terminal(sentence, MOST_LETTERS)}", file=sys.stderr)


def fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong, and exit."""
    warn(sentence)
    sys.exit(code)
