"""How far a model may climb a ladder of idle connections. Pure.

Each rung is a trial of its own. What the last two took predicts the next one, so a model is
stopped before it fills the machine's memory, or runs out of descriptors or threads, not when it
has.
"""

from __future__ import annotations

__all__ = ["DESCRIPTORS_BESIDE", "Climb", "Limits", "shortfall"]

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.plan.order import Ladder, PlannedTrial
from reports.load import Load
from reports.record import Sample
from reports.tally import Tally

MEMORY_SHARE = 0.25
"""Of the machine's memory: the most that a server may take."""
DESCRIPTORS_BESIDE = 64
"""That a process of a server or of the engine needs for other things than connections."""
MAPS_OF_A_THREAD = 2
"""Its stack, and the page below that guards it."""


class Limits(NamedTuple):
    """What bounds a server and an engine on a machine."""

    memory_bytes: int
    descriptors: int  # of a process
    tasks: int  # threads and processes of the machine
    maps: int  # of a process: areas of its memory


class Resource(NamedTuple):
    """Something that connections use up: how much of it a rung took, and how much there is."""

    took: Callable[[Sample], float]
    at_rest: Callable[[Sample], float]  # before there were connections, as far as that is known
    there_is: Callable[[Limits, float], float]  # to a server of so many processes
    words: str  # what so many connections would take, and what there is


RESOURCES = (
    Resource(
        lambda sample: sample.pss_loaded_bytes / 2**30,
        lambda sample: sample.pss_idle_bytes / 2**30,
        lambda limits, _: limits.memory_bytes / 2**30 * MEMORY_SHARE,
        "{needed:.1f} GiB, and a quarter of this machine's memory is {there:.1f} GiB",
    ),
    Resource(
        lambda sample: sample.descriptors,
        lambda _: 0,
        lambda limits, processes: limits.descriptors * processes,
        "{needed:,.0f} descriptors, and its processes may have {there:,.0f} here (ulimit -Hn, which"
        " root may raise up to fs.nr_open)",
    ),
    Resource(
        lambda sample: sample.threads,
        lambda _: 0,
        lambda limits, _: limits.tasks,
        "{needed:,.0f} threads, and this machine may have {there:,.0f} (kernel.threads-max,"
        " kernel.pid_max, pids.max)",
    ),
    Resource(
        lambda sample: sample.threads * MAPS_OF_A_THREAD,
        lambda _: 0,
        lambda limits, processes: limits.maps * processes,
        "{needed:,.0f} areas of memory for the stacks of its threads, and its processes may have"
        " {there:,.0f} (vm.max_map_count)",
    ),
)
"""What a ladder may run out of, in the order in which a refusal names it."""


def predicted(points: Sequence[tuple[int, float]], idle: int) -> float:
    """Return what `idle` connections take, on the line through the last two (idle, taken)."""
    (first, low), (second, high) = points[-2:]
    return high + (idle - second) * max(0.0, (high - low) / (second - first))


class Ascent(NamedTuple):
    """A ladder in one block: each block climbs it anew."""

    block: int
    ladder: Ladder


class Rung(NamedTuple):
    """What a model took at so many idle connections."""

    idle: int
    sample: Sample


class Climb:
    """The rungs that every model has been on, and whether the next one may be tried."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rungs: dict[Ascent, list[Rung]] = {}
        self._stops: dict[Ascent, str] = {}

    def refusal(self, trial: PlannedTrial) -> str:
        """Return why a trial must not be tried, in a sentence; empty: it may."""
        ascent, load = _ascent(trial), trial.cell.scenario.load
        if not load.idle_connections:
            return ""
        if ascent not in self._stops and (reason := self._too_much(ascent, load)):
            self._stops[ascent] = reason
        return self._stops.get(ascent, "")

    def _too_much(self, ascent: Ascent, load: Load) -> str:
        held = load.connections + math.ceil(load.idle_connections / load.engine_processes)
        if held + DESCRIPTORS_BESIDE > self._limits.descriptors:
            return (
                f"not tried: a process of the load engine would hold {held:,} connections, and may"
                f" have {self._limits.descriptors:,} descriptors here (ulimit -Hn)"
            )
        rungs = self._rungs.get(ascent, [])
        if not rungs:
            return ""

        def would_take(took: Callable[[Sample], float], at_rest: float) -> float:
            points = [(0, at_rest), *((rung.idle, took(rung.sample)) for rung in rungs)]
            return predicted(points, load.idle_connections)

        last, lowest = rungs[-1].idle, rungs[0].sample
        processes = would_take(lambda sample: sample.processes, 1)
        for each in RESOURCES:
            needed = would_take(each.took, each.at_rest(lowest))
            there = each.there_is(self._limits, processes)
            if needed > there:
                what = each.words.format(needed=needed, there=there)
                return (
                    f"stopped at {last:,} idle connections: {load.idle_connections:,} would take"
                    f" {what}"
                )
        return ""

    def climbed(self, trial: PlannedTrial, sample: Sample) -> None:
        """Note what a rung took, and whether the model held it."""
        ascent, idle = _ascent(trial), trial.cell.scenario.load.idle_connections
        if not idle:
            return
        self._rungs.setdefault(ascent, []).append(Rung(idle, sample))
        if trouble := sample.failure.partition("\n")[0] or sample.stopped:
            self._stops[ascent] = f"not tried: at {idle:,} idle connections {trouble}"


def _ascent(trial: PlannedTrial) -> Ascent:
    return Ascent(trial.block, trial.cell.ladder)


def shortfall(load: Load, tally: Tally) -> str:
    """Return what a ladder's rung lacked, in words; empty when every connection was served.

    A pool serves whoever is left when others have given up, so those that did are counted, too.
    """
    idle = load.idle_connections
    if not idle:
        return ""
    at_first = idle - tally.errors["timeout"]
    lacks = (
        (tally.idle_served, idle, "of {asked:,} idle connections were served"),
        (tally.served, load.connections, "of {asked:,} busy connections were served"),
        (at_first, idle, "of {asked:,} idle connections at first try"),
    )
    words = [
        f"{max(0, got):,} {text.format(asked=asked)}" for got, asked, text in lacks if got < asked
    ]
    return words[0] if words else ""
