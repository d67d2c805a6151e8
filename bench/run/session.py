"""From what a user asked for to a stored run: capacities, the header, the trials, the verdict."""

from __future__ import annotations

__all__ = ["Request", "run"]

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.interpreters.named import OWN, Interpreter
from bench.measure.placement import Placement
from bench.plan.duration import plan_seconds
from bench.plan.order import Pairing, PlannedCell, PlannedTrial, cells, endless
from bench.plan.precision import Precision
from bench.plan.rates import left_out, probes, resolve
from bench.plan.scenarios import Profile
from bench.run.conduct import (
    Here,
    Place,
    RunOutcome,
    Trying,
    describe,
    gather,
    interruptible,
)
from bench.run.progress import Reporter, header, reporter
from reports.record import Sample
from reports.store import RunFolder, Store
from servers.catalog import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asked for, checked."""

    profile: Profile
    models: Sequence[Model]
    interpreters: Sequence[Interpreter] = (OWN,)  # that servers run under, in turns
    left_out: Collection[Pairing] = ()  # of these pairs
    workers: int  # of pools; 0: as their rows say
    seed: int
    cpus: Sequence[int] | Placement  # the allowed ones, or both sides' own
    placement: str  # of all scenarios; empty: each has its own
    precision: float  # a share; 0: the profile's blocks and no more
    budget_seconds: float
    trying: Trying | None = None  # runs a trial elsewhere; None: on `cpus`, here
    hosts: Mapping[str, Any] = field(default_factory=dict)  # and what is there, for the record

    def options(self) -> dict[str, Any]:
        """Return what the record of the run keeps of it."""
        named = self.cpus._asdict() if isinstance(self.cpus, Placement) else {}
        return {
            "workers": self.workers,
            "precision": self.precision,
            "budget_seconds": self.budget_seconds,
            **{f"{side}_cpus": cpus for side, cpus in named.items()},
            **({"hosts": dict(self.hosts)} if self.hosts else {}),
        }


def run(
    request: Request, results: Path, console: Console, place: Place | None = None
) -> tuple[RunFolder, RunOutcome]:
    """Measure, and store what was measured; KeyboardInterrupt before there is a run to store."""

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    profile = request.profile
    place = place or Here(request.cpus, request.trying)
    with interruptible():
        look = place.look()
        planned, options = _with_rates(request, place, say)
    count = profile.blocks * len(planned)
    record = describe(
        profile,
        [model.name for model in request.models],
        request.seed,
        placement_override=request.placement,
        wake_up_ns=look.wake_up_ns,
        interpreters=[each.to_json() for each in request.interpreters if each.name],
        machine=look.machine,
        options=options | look.options | {"planned_trials": count},
    )
    folder = Store(results).create(record)
    for line in header(record, count, plan_seconds(planned, profile), look.noise):
        say(line)
    progress = reporter(console, count)
    precision = Precision(request.precision, request.budget_seconds, time.monotonic)
    measured: list[Sample] = []  # what the precision looks at, after every block
    blocks = _blocks(request, planned, measured, progress, precision)
    stored = measured.append if request.precision else None
    samples = place.samples(blocks, profile, folder.path.name)
    outcome = gather(samples, folder, progress, stored)
    if precision.verdict:
        say(precision.verdict)
    return folder, outcome


def _with_rates(
    request: Request, place: Place, say: Callable[[str], None]
) -> tuple[list[PlannedCell], dict[str, Any]]:
    """Pair scenarios with models, and turn shares of a capacity into rates."""
    paired = cells(
        request.models,
        request.profile.scenarios,
        request.workers,
        request.interpreters,
        request.left_out,
    )
    found = place.capacities(
        probes(paired),
        request.profile,
        lambda cell, rate: say(
            f"capacity for {cell.scenario.name}, {cell.scenario.serving.placement}:"
            f" {cell.key.subject} {rate:,.0f} requests/s"
        ),
    )
    for each in left_out(found):
        say(each.sentence)
    stored = [
        {
            "model": cell.model.name,
            "interpreter": cell.interpreter.name,
            "scenario": cell.scenario.name,
            "placement": cell.scenario.serving.placement,
            "workers": cell.workers,
            "requests_per_second": rate,
        }
        for cell, rate in found.items()
    ]
    return resolve(paired, found), request.options() | {"capacities": stored}


def _blocks(
    request: Request,
    planned: Sequence[PlannedCell],
    measured: Sequence[Sample],
    progress: Reporter,
    precision: Precision,
) -> Iterator[list[PlannedTrial]]:
    blocks: Iterator[list[PlannedTrial]] = endless(planned, request.seed)
    fewest = request.profile.blocks
    if request.precision and planned:
        return precision.blocks(blocks, fewest, measured, progress.more)
    return islice(blocks, fewest)
