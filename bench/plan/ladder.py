"""How far a model may climb a ladder of idle connections. Pure.

Each rung is a trial of its own. What the last two took predicts the next one, so a model is
stopped before it fills the machine's memory, not when it has.
"""

from __future__ import annotations

__all__ = ["Climb", "shortfall"]

from bench.plan.order import PlannedTrial
from reports.load import Load
from reports.record import Sample
from reports.tally import Tally

MEMORY_SHARE = 0.25
"""Of the machine's memory: the most that a server may take."""


def predicted(points: list[tuple[int, int]], idle: int) -> float:
    """Return the bytes at `idle` connections on the line through the last two (idle, bytes)."""
    (first, low), (second, high) = points[-2:]
    return high + (idle - second) * max(0.0, (high - low) / (second - first))


class Climb:
    """The rungs that every model has been on, and whether the next one may be tried."""

    def __init__(self, memory_bytes: int) -> None:
        self._most = memory_bytes * MEMORY_SHARE
        self._points: dict[tuple[object, ...], list[tuple[int, int]]] = {}
        self._stops: dict[tuple[object, ...], str] = {}

    def refusal(self, trial: PlannedTrial) -> str:
        """Return why a trial must not be tried, in a sentence; empty: it may."""
        key, idle = self._key(trial), trial.cell.scenario.load.idle_connections
        if not idle:
            return ""
        if key in self._stops:
            return self._stops[key]
        points = self._points.get(key, [])
        if len(points) > 1 and (weight := predicted(points, idle)) > self._most:
            last = points[-1][0]
            self._stops[key] = (
                f"stopped at {last:,} idle connections: {idle:,} would take"
                f" {weight / 2**30:.1f} GiB, and a quarter of this machine's memory is"
                f" {self._most / 2**30:.1f} GiB"
            )
        return self._stops.get(key, "")

    def climbed(self, trial: PlannedTrial, sample: Sample) -> None:
        """Note what a rung took, and whether the model held it."""
        key, idle = self._key(trial), trial.cell.scenario.load.idle_connections
        if not idle:
            return
        points = self._points.setdefault(key, [(0, sample.pss_idle_bytes)])
        points.append((idle, sample.pss_loaded_bytes))
        if trouble := sample.failure.partition("\n")[0] or sample.stopped:
            self._stops[key] = f"not tried: at {idle:,} idle connections {trouble}"

    @staticmethod
    def _key(trial: PlannedTrial) -> tuple[object, ...]:
        return (trial.block, *trial.cell.ladder)


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
