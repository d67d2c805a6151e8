"""A run: every trial of a plan in its order, each stored as it finishes.

A failed trial is stored as failed and the run goes on. Ctrl-C or SIGTERM ends the trial under way
and the run; every trial stored before that stays.

The null server's ceiling under a load is measured in each block right after the first trial that
has this load, so that both saw the same machine.
"""

from __future__ import annotations

__all__ = [
    "PROBE_SECONDS",
    "Here",
    "Look",
    "Place",
    "RunOutcome",
    "Trying",
    "capacities",
    "conduct",
    "describe",
    "gather",
    "here",
    "interruptible",
    "samples",
]

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from types import FrameType
from typing import Any, NamedTuple, NoReturn, Protocol

from bench.measure.limits import limits
from bench.measure.machine import fingerprint
from bench.measure.noise import Noise, watch
from bench.measure.null import ceiling, wake_up_ns
from bench.measure.placement import Placement, place
from bench.measure.trial import figures_of, measure, untried
from bench.measure.window import Window
from bench.plan.ladder import Climb
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.rates import capacity
from bench.plan.scenarios import Profile, Scenario
from bench.run.progress import Reporter
from reports.key import REFERENCE, CellKey
from reports.record import Run, Sample
from reports.store import RunFolder
from servers.catalog import MODELS


class RunOutcome(Enum):
    """How a run ended."""

    COMPLETE = "complete"
    FAILED = "a trial failed"
    INTERRUPTED = "interrupted"


def describe(profile: Profile, models: Sequence[str], seed: int, **chosen: Any) -> Run:
    """Return the record of a run that begins now, with an id that sorts by time.

    `chosen` are further fields of the record.
    """
    now = datetime.now(UTC)
    return Run(
        id=f"{now:%Y%m%dT%H%M%SZ}-{profile.name}",
        started=now.isoformat(timespec="seconds"),
        profile=profile.name,
        seed=seed,
        models=list(models),
        families={row.name: row.family for row in MODELS},
        scenarios=list(dict.fromkeys(scenario.name for scenario in profile.scenarios)),
        blocks=profile.blocks,
        window_seconds=profile.window_seconds,
        warm_up_seconds=profile.warm_up_seconds,
        **{"machine": fingerprint(), **chosen},
    )


PROBE_SECONDS = 0.4
LOOK_SECONDS = 0.2  # before a run: is anything else busy
Trying = Callable[[PlannedTrial, Profile, str], Sample]
"""Runs a trial, of the run with this id, wherever that may be."""


def capacities(
    probes: Iterable[PlannedCell],
    profile: Profile,
    trying: Trying,
    finished: Callable[[PlannedCell, float], object],
) -> dict[PlannedCell, float]:
    """Measure what each probe's model can do; `finished` is told each as it is known."""
    short = dataclasses.replace(profile, window_seconds=PROBE_SECONDS)
    found = {}
    for probe in probes:
        found[probe] = capacity(trying(PlannedTrial(probe, block=0), short, ""))
        finished(probe, found[probe])
    return found


def here(cpus: Sequence[int] | Placement) -> Trying:
    """Return what runs trials on this machine."""

    def trying(trial: PlannedTrial, profile: Profile, run_id: str) -> Sample:
        return measure(trial, profile, run_id, cpus)

    return trying


class Ceilings:
    """What the null server reaches under each load, once in each block.

    Under a load of ECHO that is the same work, but for framing and service: `store` gets a trial
    of the reference. It computes nothing and does not wait, so of other loads only the ceiling
    says something.
    """

    def __init__(
        self,
        seconds: float,
        cpus: Sequence[int] | Placement,
        run_id: str,
        store: Callable[[Sample], object],
    ) -> None:
        self._seconds = seconds
        self._cpus = cpus
        self._run_id = run_id
        self._store = store
        self._known: dict[tuple[int, Scenario], float] = {}

    def of(self, trial: PlannedTrial) -> float:
        """Return requests per second; 0 for a load that no generator could be the limit of."""
        scenario = trial.cell.scenario
        if not (self._seconds and scenario.saturates):
            return 0.0
        # The size of a pool is nothing to the null server.
        key = (trial.block, scenario.served(workers=0))
        if key not in self._known:
            placement = place(scenario.serving.placement, self._cpus)
            window = ceiling(scenario.load, placement, self._seconds)
            self._known[key] = window.tally.throughput
            if scenario.load.kind == "ECHO":
                self._store(self._reference(trial, window))
        return self._known[key]

    def _reference(self, trial: PlannedTrial, window: Window) -> Sample:
        blank = untried(trial, self._run_id, self._cpus)
        cell = CellKey(trial.cell.key.scenario, trial.cell.key.level, REFERENCE)
        serving = dataclasses.replace(blank.serving, workers=0)
        return dataclasses.replace(blank, cell=cell, serving=serving, **figures_of(window))


def samples(
    trials: Iterable[PlannedTrial],
    profile: Profile,
    run_id: str,
    cpus: Sequence[int] | Placement,
    trying: Trying | None = None,
) -> Iterator[Sample]:
    """Run `trials` in order; yield each, after a trial of the reference if there was one.

    `trying` runs one; unless told, here on `cpus`.
    """
    measured = trying or here(cpus)
    references: list[Sample] = []
    ceilings = Ceilings(profile.ceiling_seconds, cpus, run_id, references.append)
    loads = [scenario.load for scenario in profile.scenarios]
    climb = Climb(limits(max(load.connections + load.idle_connections for load in loads)))
    for trial in trials:
        if refusal := climb.refusal(trial):
            sample = untried(trial, run_id, cpus, stopped=refusal)
        else:
            sample = dataclasses.replace(
                measured(trial, profile, run_id),
                ceiling_requests_per_second=ceilings.of(trial),
            )
            climb.climbed(trial, sample)
        yield from references
        references.clear()
        yield sample


class Look(NamedTuple):
    """What there is to know of where trials are run, before the first."""

    noise: Noise
    wake_up_ns: dict[str, float]
    machine: dict[str, Any]  # its fingerprint
    options: dict[str, Any]  # what the record of the run says beside


class Place(Protocol):
    """Where trials are run: this machine, or others that blocks are sent to."""

    def look(self) -> Look:
        """Return what it is like."""

    def capacities(
        self,
        probes: Iterable[PlannedCell],
        profile: Profile,
        finished: Callable[[PlannedCell, float], object],
    ) -> dict[PlannedCell, float]:
        """Measure what each probe's model can do; `finished` is told each as it is known."""

    def samples(
        self, blocks: Iterator[list[PlannedTrial]], profile: Profile, run_id: str
    ) -> Iterator[Sample]:
        """Run blocks, and yield the record of each trial as it is known."""


class Here:
    """This machine conducts; `trying` runs a trial elsewhere, None: on `cpus`, here."""

    def __init__(self, cpus: Sequence[int] | Placement, trying: Trying | None = None) -> None:
        self._cpus = cpus
        self._trying = trying

    def look(self) -> Look:
        """Return what it is like."""
        # Of this machine, whose CPUs are none of a run's that is made elsewhere.
        wake_up = {} if self._trying else wake_up_ns(self._cpus)
        return Look(watch(LOOK_SECONDS), wake_up, fingerprint(), {})

    def capacities(
        self,
        probes: Iterable[PlannedCell],
        profile: Profile,
        finished: Callable[[PlannedCell, float], object],
    ) -> dict[PlannedCell, float]:
        """Measure what each probe's model can do."""
        return capacities(probes, profile, self._trying or here(self._cpus), finished)

    def samples(
        self, blocks: Iterator[list[PlannedTrial]], profile: Profile, run_id: str
    ) -> Iterator[Sample]:
        """Run block after block, trial after trial."""
        trials = (trial for block in blocks for trial in block)
        return samples(trials, profile, run_id, self._cpus, self._trying)


def conduct(
    trials: Iterable[PlannedTrial],
    profile: Profile,
    folder: RunFolder,
    run_id: str,
    reporter: Reporter,
    cpus: Sequence[int] | Placement,
) -> RunOutcome:
    """Run `trials` here in order and store each; StoreError when the disk will not take one."""
    return gather(samples(trials, profile, run_id, cpus), folder, reporter)


def gather(
    measured: Iterable[Sample],
    folder: RunFolder,
    reporter: Reporter,
    stored: Callable[[Sample], object] | None = None,
) -> RunOutcome:
    """Store each trial as it is known; StoreError when the disk will not take one.

    `stored` is told of each that is on the disk, before the next is asked for.
    """
    outcome = RunOutcome.COMPLETE
    try:
        with interruptible(), reporter:
            for sample in measured:
                folder.append(sample)
                if sample.cell.is_reference:
                    continue
                if stored:
                    stored(sample)
                reporter.finished(sample)
                if sample.failure:
                    outcome = RunOutcome.FAILED
    except KeyboardInterrupt:
        return RunOutcome.INTERRUPTED
    return outcome


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM, and let no later one disturb.

    The first unwinds the trial under way, which stops its server and its generator. A second, from
    an impatient hand, must not cut that short; it counts again once the context has been left.
    """

    def first(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in numbers:
            # Not SIG_IGN, which a process started from here would inherit.
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, first) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
