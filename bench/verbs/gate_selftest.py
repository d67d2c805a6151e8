"""The verb that shows what the gate finds and what it does not: gate-selftest."""

from __future__ import annotations

import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.gate.proving import PAIRS_FILE, VERDICTS_FILE, live, prove_recording, record
from bench.gate.rounds import MOST_BLOCKS, PAIRS
from bench.measure.launch import ROOT
from bench.run.conduct import interruptible
from bench.verbs.common import Seed, Terminal, app, examples
from reports.files import read_regular, replace_whole
from reports.gate.render.proof_text import proof_tables, written_into
from servers.catalog import find

RECORDINGS = Path("reports/selftests")


@app.command(
    "gate-selftest",
    epilog=examples(
        "gate-selftest",
        "gate-selftest --model thread --minutes 0",
        "gate-selftest --judge reports/selftests/20261124T002832Z-coroutine",
    ),
)
def gate_selftest(
    model: Annotated[str, typer.Option(help="Record pairs of this model.")] = "coroutine",
    pairs: Annotated[
        int, typer.Option(min=2 * PAIRS, max=1_000, help="Record so many live pairs of each case.")
    ] = 60,
    minutes: Annotated[
        float,
        typer.Option(
            min=0, max=600, help="Spend so many minutes on live verdicts on the same code."
        ),
    ] = 20.0,
    seed: Seed = None,
    judge: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Judge a recording; measure nothing.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Put the tables into docs/gate.md.")
    ] = None,
) -> None:
    """Show on live pairs what the gate finds.

    These are of the same code, of known faults, and by other rules.

    Takes 45 minutes on a machine that is quiet. Exit code 1 when an aim is missed.
    """
    console = Terminal()
    folder = judge or _record(model, pairs, minutes, seed)
    with console.status("resampling verdicts"):
        proof = prove_recording(folder, block=PAIRS, most_blocks=MOST_BLOCKS)
    console.print(proof_tables(proof))
    console.print(f"recording: {folder}", markup=False, soft_wrap=True)
    if write:
        text = read_regular(write).decode()
        replace_whole(write, written_into(text, proof))
    raise typer.Exit(0 if proof.met else 1)


def _record(name: str, pairs: int, minutes: float, seed: int | None) -> Path:
    """Record pairs of all cases, then live verdicts; return the folder that holds both."""
    model = find(name)
    drawn = secrets.randbelow(2**31) if seed is None else seed
    folder = RECORDINGS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{model.name}"
    folder.mkdir(parents=True)
    lines = Terminal(stderr=True)

    def say(line: str) -> None:
        lines.print(line, markup=False, highlight=False, soft_wrap=True)

    with interruptible(), tempfile.TemporaryDirectory(prefix="threadmill-gate-") as trees:
        record(
            folder / PAIRS_FILE,
            model,
            ROOT,
            Path(trees, "cases"),
            pairs=pairs,
            seed=drawn,
            said=say,
        )
        live(
            folder / VERDICTS_FILE, ROOT, Path(trees, "live"),
            seconds=minutes * 60, seed=drawn, said=say,
        )  # fmt: skip
    return folder
