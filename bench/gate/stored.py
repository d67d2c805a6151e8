"""Stored baselines: runs kept under a name, and a run made now held against them.

A run is two blocks. In each the frozen reference workload runs first, then every model has a fresh
server, which is loaded in slices as one side of a pair is; the run's figure is the median over all
of its slices. What a run means for another is in `reports.gate.stored`.
"""

from __future__ import annotations

__all__ = [
    "ADVICE",
    "BaselineNameError",
    "DifferentMachineError",
    "RunFailedError",
    "judge",
    "names",
    "read",
    "save",
]

import dataclasses
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import TroubleError, UserError
from bench.gate import reference_load
from bench.gate.rounds import GateRules
from bench.gate.worktree import NoBaselineError
from bench.measure.files import root_of
from bench.measure.launch import ROOT
from bench.measure.machine import fingerprint
from bench.measure.pairs import Shape, Side, SideBySide, SideFailed
from bench.measure.placement import allowed_cpus, pinned, place
from bench.plan.order import PlannedCell, cells
from bench.plan.scenarios import Scenario
from bench.run.conduct import interruptible
from reports.files import locked, read_regular, replace_whole
from reports.gate.stored import (
    BaselineRun,
    CellRun,
    believable,
    judge_run,
    notes,
    open_verdicts,
)
from reports.gate.verdicts import GateReport
from reports.key import CellKey
from reports.machines import differences
from reports.nearest import proposal
from reports.record import RecordError
from reports.store import MOST_LINE_BYTES, MOST_RUN_BYTES, StoreError, disk_errors
from reports.untrusted import UntrustedError, checked, read_json
from servers.catalog import Model

FOLDER = Path("reports/baselines")
BLOCKS = 2
SLICES = 10  # of a block
ADVICE = (
    "side by side (gate --base REF) is better: a stored baseline was measured at another time, and"
    " what the machine has become since then is estimated only"
)

Say = Callable[[str], object]


class DifferentMachineError(UserError):
    """A run that cannot join a baseline; the message is a sentence."""


class BaselineNameError(UserError):
    """A name that cannot be one; the message is a sentence."""


class RunFailedError(TroubleError):
    """A run that is not whole, and is not kept; the message says which part failed."""


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """Return where a baseline is kept; a name is one component of a path."""
    if not name or name != Path(name).name or name.startswith("."):
        raise BaselineNameError(f"{name!r} cannot be the name of a baseline")
    return folder / f"{name}.jsonl"


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all stored baselines, those that a full disk left empty aside."""
    return sorted(path.stem for path in folder.glob("*.jsonl") if path.stat().st_size)


def read(name: str, folder: Path = FOLDER) -> list[BaselineRun]:
    """Return a baseline's runs; NoBaselineError when there is none, StoreError when unreadable."""
    path = path_of(name, folder)
    with disk_errors(f"read {path}"):
        lines = _stored(path).splitlines()
    if not lines:
        hint = proposal(name, names(folder), f"`baseline save {name}` makes one")
        raise NoBaselineError(f"there is no baseline {name!r}: {hint}")
    try:
        return list(map(_run_of, lines))
    except (UntrustedError, RecordError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _stored(path: Path) -> bytes:
    return read_regular(path, most_bytes=MOST_RUN_BYTES) if path.exists() else b""


def _run_of(line: bytes) -> BaselineRun:
    values = checked("a run", read_json(line, most_bytes=MOST_LINE_BYTES), dict[str, Any])
    return believable(BaselineRun.from_json(values))


def save(
    name: str,
    models: Sequence[Model],
    scenarios: Sequence[Scenario],
    *,
    runs: int,
    seed: int,
    said: Say,
    shape: Shape = Shape(slices=SLICES),  # noqa: B008  # frozen
    folder: Path = FOLDER,
) -> Path:
    """Make `runs` runs and add each, once it is whole, to a baseline; return its file."""
    path = path_of(name, folder)
    kept = read(name, folder) if name in names(folder) else []
    if reasons := _reasons(kept, scenarios):
        raise DifferentMachineError(
            f"the baseline {name!r} was made under other conditions: {'; '.join(reasons)}"
        )
    with disk_errors(f"make the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(runs):
        started = time.monotonic()
        run = measure(models, scenarios, seed + number, shape)
        if run.failures:
            cell, failure = next(iter(run.failures.items()))
            raise RunFailedError(f"{cell.name} failed, so this run is not stored: {failure}")
        line = json.dumps(run.to_json(), allow_nan=False, separators=(",", ":")) + "\n"
        with disk_errors(f"store a run in {path}"), locked(folder):
            replace_whole(path, b"\n".join([*_stored(path).splitlines(), line.encode()]))
        said(
            f"run {number + 1} of {runs}: {time.monotonic() - started:.0f} s,"
            f" reference {statistics.median(run.reference_us):.2f} us"
        )
    return path


def judge(
    name: str,
    models: Sequence[Model],
    scenarios: Sequence[Scenario],
    rules: GateRules,
    *,
    enforced: bool,
    said: Say,
    folder: Path = FOLDER,
) -> GateReport:
    """Make one run now and judge it by the runs of a baseline."""
    baseline = read(name, folder)
    began, started = datetime.now(UTC), time.monotonic()
    last = baseline[-1]
    asked = [cell.key for cell in cells(models, scenarios)]
    said(f"{len(baseline)} runs in the baseline {name!r}; {ADVICE}")
    if reasons := _reasons(baseline, scenarios):
        verdicts = open_verdicts(asked, baseline, "; ".join(reasons))
        remarks = []
    else:
        shape = dataclasses.replace(
            rules.shape,
            slices=int(last.shape["slices"]),
            slice_seconds=last.shape["slice_seconds"],
        )
        with interruptible():
            run = measure(models, scenarios, rules.seed, shape)
        limits = {scenario.name: rules.limits_of(scenario.name) for scenario in scenarios}
        try:
            verdicts = judge_run(baseline, run, limits)
            remarks = notes(baseline, run, next(iter(limits.values())))
        except ArithmeticError as error:
            raise StoreError(f"the baseline {name!r} cannot be judged by: {error}") from error
    return GateReport(
        base=f"the baseline {name!r} of {last.started[:10]} ({last.commit})",
        head=f"the working tree ({fingerprint()['commit']})",
        started=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - started,
        placement=_placement(scenarios),
        method=(
            f"one run of {BLOCKS} blocks against {len(baseline)} stored runs, which are K here, and"
            " the noise is between them"
        ),
        machine=fingerprint(),
        verdicts=verdicts,
        notes=[*remarks, ADVICE],
        enforced=enforced,
    )


def _placement(scenarios: Sequence[Scenario]) -> str:
    return ", ".join(dict.fromkeys(scenario.serving.placement for scenario in scenarios))


def _reasons(kept: Sequence[BaselineRun], scenarios: Sequence[Scenario]) -> list[str]:
    """Return why runs made now cannot be held against the stored ones."""
    if not kept:
        return []
    found = differences(kept[-1].machine, fingerprint())
    if kept[-1].reference != reference_load.VERSION:
        found.append(f"reference workload: {kept[-1].reference} and {reference_load.VERSION}")
    then = {name: level for run in kept for name, level in run.levels.items()}
    return found + [
        f"{scenario.name}: {then[scenario.name]} and {scenario.level}"
        for scenario in scenarios
        if then.get(scenario.name, scenario.level) != scenario.level
    ]


def measure(
    models: Sequence[Model], scenarios: Sequence[Scenario], seed: int, shape: Shape
) -> BaselineRun:
    """Make one run of all cells, in an order of its own in each block."""
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    asked = cells(models, scenarios)
    began = datetime.now(UTC)
    reference: list[float] = []
    figures: dict[CellKey, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    errors: dict[CellKey, Counter[str]] = defaultdict(Counter)
    failures: dict[CellKey, str] = {}
    for _ in range(BLOCKS):
        reference.append(reference_us())
        for cell in order.sample(asked, len(asked)):
            try:
                found, counted = _one_server(cell, shape)
            except SideFailed as failure:
                failures[cell.key] = str(failure)
                continue
            for metric, values in found.items():
                figures[cell.key][metric] += values
            errors[cell.key].update(counted)
    return BaselineRun(
        started=began.isoformat(timespec="seconds"),
        commit=str(fingerprint()["commit"]),
        machine=fingerprint(),
        reference=reference_load.VERSION,
        placement=_placement(scenarios),
        shape={"blocks": BLOCKS, "slices": shape.slices, "slice_seconds": shape.slice_seconds},
        seed=seed,
        reference_us=reference,
        cells=[
            CellRun(
                cell=key,
                figures={}
                if key in failures
                else {metric: statistics.median(each) for metric, each in figures[key].items()},
                errors=dict(errors[key]),
                failure=failures.get(key, ""),
            )
            for key in sorted(cell.key for cell in asked)
        ],
    )


def _one_server(cell: PlannedCell, shape: Shape) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return every slice's figures of a fresh server, and its errors; SideFailed."""
    conditions = SideBySide(place(cell.scenario.serving.placement, allowed_cpus()), shape)
    with root_of(cell.scenario.load) as root, Side("head", cell, ROOT, root, conditions) as side:
        side.open()
        slices = [side.slice() for _ in range(shape.slices)]
        found = {metric: [each[metric] for each in slices] for metric in slices[0]}
        return found | {"pss": [side.footprint()]}, side.close()


def reference_us() -> float:
    """Return the CPU us of a round of the reference workload, on the server's CPU."""
    with pinned(place("same", allowed_cpus()).server):
        done = subprocess.run(
            # -I: neither the environment nor our own folder has a say in what it imports.
            [sys.executable, "-I", "-S", reference_load.__file__],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunFailedError(f"the reference workload failed: {last}")
    return float(done.stdout)
