"""`gate-selftest`: what the gate finds and what it does not, shown on live pairs of servers.

Two recordings are made. `pairs.jsonl` has pairs of one model for every case in
`bench.gate.injection.CASES`, the cases taking turns in a random order so that a drift of the
machine falls on all of them; verdicts are then resampled from it (`reports.gate.proof`).
`verdicts.jsonl` has real verdicts on two copies of the same code, one model after another, as many
as fit.
"""

from __future__ import annotations

__all__ = ["PAIRS_FILE", "VERDICTS_FILE", "RecordingError", "live", "prove_recording", "record"]

import itertools
import json
import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.gate.injection import CASES, SAME_CODE, SPIN, Injection
from bench.gate.rounds import ECHO_64, GateRules, placed, verdicts
from bench.measure.machine import fingerprint
from bench.measure.pairs import SideBySide
from bench.measure.placement import allowed_cpus, place
from bench.plan.order import PlannedCell, cells
from reports.files import read_regular
from reports.gate.proof import CERTAIN, RESAMPLES, Live, aims, prove
from reports.gate.render.proof_text import Proof
from reports.gate.verdicts import GATE_METRICS, LIMITS, Pair, judge
from reports.store import MOST_RUN_BYTES
from reports.untrusted import checked, read_json, take
from servers.catalog import MODELS, Model

FEW = 3  # pairs of a case that no figure is taken of
CALIBRATION_ROUNDS, CALIBRATION_PAIRS = (20, 120), 12
PAIRS_FILE, VERDICTS_FILE = "pairs.jsonl", "verdicts.jsonl"

Say = Callable[[str], object]


class Trees(NamedTuple):
    """The two sides of a case."""

    base: Path
    head: Path


def cell_of(model: Model, placement: str) -> PlannedCell:
    """Return the gate's cell of a model."""
    return cells([model], [placed(ECHO_64, placement)])[0]


def conditions(placement: str) -> SideBySide:
    """Return what pairs are measured under."""
    return SideBySide(place(placement, allowed_cpus()))


def calibrated(
    cases: Sequence[Injection], model: Model, project: Path, folder: Path, rng: random.Random
) -> dict[str, Injection]:
    """Return the cases by name, the spins with the rounds that grow CPU as they say.

    The growth is measured at two numbers of rounds; between them it is a straight line, which
    does not begin at nothing, because a loop without a round costs something as well.
    """
    if not any(case.grows for case in cases):
        return {case.name: case for case in cases}
    growths = [
        _growth(rounds, model, project, folder / str(rounds), rng) for rounds in CALIBRATION_ROUNDS
    ]
    slope = (growths[1] - growths[0]) / (CALIBRATION_ROUNDS[1] - CALIBRATION_ROUNDS[0])
    start = growths[0] - slope * CALIBRATION_ROUNDS[0]
    return {
        case.name: case.amounting_to(max(1, round((case.grows - start) / slope)))
        if case.grows
        else case
        for case in cases
    }


def _growth(rounds: int, model: Model, project: Path, folder: Path, rng: random.Random) -> float:
    """Return the share by which so many rounds grow the CPU per request."""
    spin = Injection("calibration", "", SPIN, amount=rounds)
    trees = Trees(SAME_CODE.into(project, folder / "base"), spin.into(project, folder / "head"))
    pairs = [
        conditions("same").measure(cell_of(model, "same"), *trees, block=0, rng=rng)
        for _ in range(CALIBRATION_PAIRS)
    ]
    cpu = GATE_METRICS["cpu"]
    return math.expm1(statistics.median(pair.worse_by(cpu) for pair in pairs))


def record(
    path: Path,
    model: Model,
    project: Path,
    folder: Path,
    *,
    pairs: int,
    seed: int,
    said: Say,
    names: Sequence[str] = tuple(CASES),
) -> None:
    """Record `pairs` of every case to `path`; trees are made under `folder`."""
    rng = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    cases = calibrated([CASES[name] for name in names], model, project, folder / "calibration", rng)
    amounts = {name: case.amount for name, case in cases.items() if case.grows}
    said(f"rounds of the spins: {amounts}")
    trees = {name: trees_of(case, project, folder) for name, case in cases.items()}
    plan = [name for name in cases for _ in range(min(pairs, FEW) if name in CERTAIN else pairs)]
    rng.shuffle(plan)
    with path.open("a", encoding="utf-8") as file:
        header = {
            "type": "gate-selftest",
            "started": now(),
            "model": model.name,
            "seed": seed,
            "machine": fingerprint(),
            "amounts": {name: case.amount for name, case in cases.items()},
        }
        write(file, header)
        started = time.monotonic()
        for number, name in enumerate(plan, 1):
            placement = cases[name].placement
            pair = conditions(placement).measure(
                cell_of(model, placement), *trees[name], block=1, rng=rng
            )
            write(file, {"case": name, **pair.to_json()})
            if number % 20 == 0:
                spent = time.monotonic() - started
                left = spent / number * (len(plan) - number)
                said(f"pair {number} of {len(plan)}: {spent:.0f} s, {left:.0f} s to go")


def trees_of(case: Injection, project: Path, folder: Path) -> Trees:
    """Return the two trees of a case, at paths of one length."""
    number = list(CASES).index(case.name)
    changed = case.into(project, folder / f"{number:02}-changed")
    plain = SAME_CODE.into(project, folder / f"{number:02}-as-it-is")
    return Trees(changed, plain) if case.in_base else Trees(plain, changed)


def live(path: Path, project: Path, folder: Path, *, seconds: float, seed: int, said: Say) -> None:
    """Record verdicts on two copies of the same code until no further one fits into `seconds`."""
    trees = Trees(
        SAME_CODE.into(project, folder / "base"), SAME_CODE.into(project, folder / "head")
    )
    started, longest = time.monotonic(), 0.0
    with path.open("a", encoding="utf-8") as file:
        for number, model in enumerate(itertools.cycle(MODELS)):
            begun = time.monotonic()
            if begun - started + longest > seconds:
                return
            found = verdicts(
                [cell_of(model, "")], *trees, allowed_cpus(), GateRules(seed=seed + number)
            )
            spent = time.monotonic() - begun
            longest = max(longest, spent)
            judged = [verdict.to_json() for verdict in found]
            write(
                file, {"started": now(), "seconds": spent, "model": model.name, "verdicts": judged}
            )
            said(
                f"{model.name:13} {spent:3.0f} s  "
                + ", ".join(f"{each.metric} {each.outcome}" for each in found)
            )


class RecordingError(UserError):
    """A folder that holds no recording; the message is a sentence."""


def prove_recording(
    folder: Path, *, block: int, most_blocks: int, resamples: int = RESAMPLES
) -> Proof:
    """Judge a recorded folder; RecordingError when there is nothing in it."""
    pairs_file, verdicts_file = folder / PAIRS_FILE, folder / VERDICTS_FILE
    if not pairs_file.exists():
        raise RecordingError(f"{folder} holds no {PAIRS_FILE}")
    try:
        header, *lines = _recorded(pairs_file)
        recorded: dict[str, list[Pair]] = defaultdict(list)
        for line in lines:
            recorded[take(line, "case", str)].append(
                Pair.from_json({name: value for name, value in line.items() if name != "case"})
            )
        gates = (
            [take(line, "verdicts", list[dict[str, Any]]) for line in _recorded(verdicts_file)]
            if verdicts_file.exists()
            else []
        )
    except (OSError, ValueError) as error:
        raise RecordingError(f"{folder} cannot be read: {error}") from error
    cases = {
        name: prove(
            name,
            recorded[name],
            same_code=name.startswith(SAME_CODE.name),
            limits=LIMITS,
            block=block,
            most_blocks=most_blocks,
            resamples=resamples,
        )
        for name in CASES
        if name in recorded and name not in CERTAIN
    }
    certain = {
        name: judge([recorded[name]], LIMITS)[0].outcome for name in CERTAIN if name in recorded
    }
    lived = Live.of(gates) if gates else None
    return Proof(
        header=header,
        cases=cases,
        certain=certain,
        live=lived,
        aims=aims(cases, certain, lived),
        block=block,
    )


def _recorded(path: Path) -> list[dict[str, Any]]:
    lines = read_regular(path, most_bytes=MOST_RUN_BYTES).splitlines()
    return [checked("a line", read_json(line), dict[str, Any]) for line in lines]


def now() -> str:
    """Return the time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(file: Any, values: Mapping[str, Any]) -> None:
    """Append a line and see that it is kept."""
    file.write(json.dumps(values) + "\n")
    file.flush()
