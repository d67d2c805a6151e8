"""The command line: `python -m bench VERB`, installed as `threadmill`.

Each verb turns its options into values, calls what does the work, and says what came of it. Drawing
libraries take a second to import, so a verb imports them itself, and only when it needs them.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import session
from bench.capacity import search
from bench.placement import PLACEMENTS, PlacementError, allowed_cpus, chosen
from bench.plan import cells
from bench.precision import DEFAULT_BUDGET, QuantityError, seconds, share
from bench.promise import Promise
from bench.run import Outcome, interruptible
from bench.scenarios import (
    FILES,
    PROFILES,
    SCENARIOS,
    STUDIES,
    UnknownNameError,
    find_load,
    find_placement,
    find_profile,
    find_scenario,
)
from bench.session import Request
from clients.generator import GeneratorError
from reports.store import RunFolder, Store, StoreError
from servers.catalog import MODELS, UnknownModel
from servers.catalog import find as find_model

USAGE = 2
TROUBLE = 3  # a trial failed, or the machine would not do it
INTERRUPTED = 130

EXIT_CODES = {
    Outcome.COMPLETE: 0,
    Outcome.FAILED: TROUBLE,
    Outcome.INTERRUPTED: INTERRUPTED,
}

EXPERIMENTS = Path(__file__).parent / "experiments"

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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RESULTS = Path("reports/runs")


@app.command(
    epilog=examples(
        "run",
        "run --profile quick",
        "run --models thread,asyncio --scenarios echo --blocks 3",
        "run --scenarios rate,curve --precision 5% --budget 10m",
        "run --profile quick --placement same",
    )
)
def run(
    profile: Annotated[
        str, typer.Option(help=f"How much to run: {', '.join(PROFILES)}.")
    ] = "standard",
    models: Annotated[str, typer.Option(metavar="A,B", help="Only these models; empty: all.")] = "",
    scenarios: Annotated[
        str, typer.Option(metavar="A,B", help="Only these scenarios; empty: the profile's.")
    ] = "",
    blocks: Annotated[int | None, typer.Option(min=1, help="How often to run each cell.")] = None,
    window: Annotated[
        float | None, typer.Option(min=0.01, max=3600, help="Measured seconds of a trial.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the order of the trials; drawn and recorded.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=10_000, help="Size of the pools; 0: 64, as their rows say.")
    ] = 0,
    placement: Annotated[
        str, typer.Option(help=f"Of every scenario: {', '.join(PLACEMENTS)}; empty: their own.")
    ] = "",
    server_cpus: Annotated[
        str, typer.Option(metavar="0,2-3", help="The server's CPUs, with --client-cpus.")
    ] = "",
    client_cpus: Annotated[str, typer.Option(metavar="1", help="The generator's CPUs.")] = "",
    precision: Annotated[
        str, typer.Option(metavar="5%", help="Add blocks until throughputs are this certain.")
    ] = "",
    budget: Annotated[
        str, typer.Option(metavar="10m", help="The time after which --precision gives up.")
    ] = DEFAULT_BUDGET,
    results: Results = RESULTS,
) -> None:
    """Measure the models under the scenarios, and write the report.

    Ctrl-C stops the servers and reports the trials that were finished.
    """
    asked = find_profile(profile).narrowed(_named(scenarios, find_scenario), blocks, window)
    cpus = chosen(server_cpus, client_cpus, allowed_cpus())
    everywhere = find_placement(placement) if placement else cpus.name if cpus else ""
    request = Request(
        profile=asked.placed(everywhere) if everywhere else asked,
        models=_named(models, find_model) or MODELS,
        workers=workers,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        cpus=cpus or allowed_cpus(),
        placement=everywhere,
        precision=share(precision) if precision else 0.0,
        budget_seconds=seconds(budget),
    )
    console = Console()
    folder, outcome = session.run(request, results, console)
    if outcome is Outcome.INTERRUPTED:
        console.print("interrupted")
    _publish(folder, console)
    raise typer.Exit(EXIT_CODES[outcome])


def _named(names: str, find: Callable[[str], _Row]) -> list[_Row]:
    """Return the rows that a list `a,b` names, each once."""
    return [find(name) for name in dict.fromkeys(names.replace(",", " ").split())]


def _publish(folder: RunFolder, console: Console) -> None:
    """Write the report of a run, and say what is in it and where it is."""
    from reports.publish import publish
    from reports.text import summary_table

    record, samples = folder.read()
    for warning in folder.warnings:
        console.print(f"threadmill: {warning}", style="yellow", markup=False)
    if not samples:
        console.print("no trial was finished, so there is nothing to report")
        return
    with console.status("writing the report") as status:
        publish(folder, on_step=status.update)
    console.print(summary_table(record, samples))
    if failed := sum(bool(sample.failure) for sample in samples):
        console.print(f"{failed} of {len(samples)} trials failed; the report says why", style="red")
    console.print(f"report: {folder.path / 'report.html'}", markup=False, soft_wrap=True)


@app.command(epilog=examples("report", "report 20261123T181500Z-standard"))
def report(
    run_id: Annotated[str | None, typer.Argument(help="Which run; the newest if none.")] = None,
    results: Results = RESULTS,
) -> None:
    """Redraw the report of a stored run without measuring again."""
    _publish(Store(results).open(run_id), Console())


@app.command(
    epilog=examples("capacity --slo p99=20ms", "capacity --slo p90=2ms --models thread,asyncio")
)
def capacity(
    slo: Annotated[
        str, typer.Option(metavar="p99=20ms", help="p50, p90, p99 or p999, and a limit.")
    ],
    scenario: Annotated[str, typer.Option(help="Under which load.")] = "echo",
    models: Annotated[str, typer.Option(metavar="A,B", help="Only these models; empty: all.")] = "",
    workers: Annotated[int, typer.Option(min=0, max=10_000, help="Size of the pools.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search for the highest rate at which each model keeps a promise.

    The promise is about response times, counted from when a request was due; the rate itself must
    be sustained, too. About 20 s for each model.
    """
    promise = Promise.parse(slo)
    chosen_models = _named(models, find_model) or MODELS
    paired = cells(chosen_models, [find_load(scenario)], workers)
    lines = Console(stderr=True)
    with interruptible():
        answers = search(
            paired,
            promise,
            allowed_cpus(),
            lambda line: lines.print(line, markup=False, highlight=False, soft_wrap=True),
        )
    rows = [answer.to_json() for answer in answers]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(title=f"{scenario}: the most requests/s at {slo}", title_justify="left", box=None)
    for heading, justify in CAPACITY_COLUMNS.items():
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        high = f"{row['high']:,.0f}" if row["high"] else "?"
        table.add_row(
            row["model"],
            f"{row['rate']:,.0f}" if row["rate"] else "none",
            f"{row['low']:,.0f} to {high}",
            f"{row['cpu_us_per_request']:.1f}",
            str(row["trials"]),
            escape(row["broken_by"]),
        )
    Console().print(table)


CAPACITY_COLUMNS: dict[str, Literal["left", "right"]] = {
    "model": "left",
    "requests/s": "right",
    "between": "right",
    "CPU us": "right",
    "trials": "right",
    "what broke it above": "left",
}


@app.command(epilog=examples("selftest"))
def selftest(as_json: AsJson = False) -> None:
    """Check the instrument against known answers; takes about two minutes, fails loudly.

    Servers whose delays, stalls and limits are known are measured like any other.
    """
    from bench.selftest import CHECKS, run_checks

    if len(allowed_cpus()) < 2:
        _fail("the selftest needs 2 CPUs: server and generator each watch the clock", TROUBLE)
    console = Console(stderr=as_json)
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


@app.command(epilog=examples("models", "models --json"))
def models(as_json: AsJson = False) -> None:
    """List the models."""
    rows = [
        {
            "name": model.name,
            "title": model.title,
            "unit": model.unit,
            "workers": model.workers,
            "needs": list(model.needs),
            "python": ".".join(map(str, model.python)),
        }
        for model in MODELS
    ]
    _show(rows, ("name", "title", "unit", "workers"), as_json)


@app.command(epilog=examples("scenarios", "scenarios --json"))
def scenarios(as_json: AsJson = False) -> None:
    """List the scenarios."""
    rows = [
        {**dataclasses.asdict(scenario), "level": scenario.level}
        for table in (SCENARIOS.values(), FILES.values(), *STUDIES.values())
        for scenario in table
    ]
    _show(rows, ("name", "level", "placement", "shows"), as_json)


@app.command(epilog=examples("doctor", "doctor --json"))
def doctor(as_json: AsJson = False) -> None:
    """Say what on this machine will disturb the figures, and what to do about it."""
    from bench.doctor import examine, findings

    rows = [dataclasses.asdict(finding) for finding in findings(examine())]
    _show(rows, ("severity", "sentence", "advice"), as_json)


def _show(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Print a list: all of it as JSON, or the named columns as a table."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in columns))
    Console().print(table)


@app.command(epilog=examples("experiments"))
def experiments(results: Results = RESULTS) -> None:
    """Run the small pytest-benchmark experiments; their figures join the newest run's report."""
    folder = Store(results).open()
    figures = folder.path / "experiments.json"
    # A process of its own: pytest rewrites imports, and its plug-ins would stay loaded here.
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXPERIMENTS)]
    code = subprocess.run(
        [*pytest, "--benchmark-enable", f"--benchmark-json={figures.resolve()}"], check=False
    ).returncode
    if code:
        raise typer.Exit(TROUBLE)
    _publish(folder, Console())


def main() -> None:
    """Run the command line; what the user or the machine did wrong is one sentence."""
    try:
        app(prog_name="threadmill")
    except (UnknownNameError, UnknownModel, PlacementError, QuantityError) as error:
        _fail(str(error), USAGE)
    except KeyboardInterrupt:
        _fail("interrupted before there was anything to keep", INTERRUPTED)
    except GeneratorError as error:
        _fail(f"the load generator failed: {error}", TROUBLE)
    except StoreError as error:
        # The disk's refusal and a run that is not there come as the same error; only the first
        # has the system's own behind it.
        _fail(str(error), TROUBLE if isinstance(error.__cause__, OSError) else USAGE)
    except OSError as error:
        _fail(f"the machine refused: {error}", TROUBLE)


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"threadmill: {sentence}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
