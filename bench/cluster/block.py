"""A block in a process of its own: `python -m bench.cluster.block`, which a worker starts.

Standard input holds what to do, as a pickle from the worker that started it; standard output has a
line of JSON for each record. It dies with the worker, and with it the servers and engines, by the
pipes and death signals that they have anyway.
"""

from __future__ import annotations

__all__ = ["Order"]

import contextlib
import dataclasses
import fcntl
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bench.interpreters.environments import with_libraries
from bench.interpreters.finding import resolve
from bench.measure.launch import ROOT
from bench.measure.noise import watch
from bench.measure.null import wake_up_ns
from bench.measure.placement import Placement, allowed_cpus
from bench.plan.order import PlannedTrial
from bench.plan.scenarios import Profile
from bench.run.conduct import interruptible, samples
from clients.engine._engine import die_with_parent

LOOK_SECONDS = 0.2
INTERRUPTED = 130


class Order(NamedTuple):
    """What a block is to do; without trials, to look at the machine."""

    trials: Sequence[PlannedTrial]
    profile: Profile
    run_id: str
    cpus: Placement | None  # None: all that the host allows


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the host: of all blocks of a user that are sent to it, one runs at a time."""
    descriptor = os.open(tempfile.gettempdir(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def records(order: Order) -> Iterator[dict[str, Any]]:
    """Yield what each trial gave; or, of none, what the machine is like."""
    cpus = order.cpus or allowed_cpus()
    if not order.trials:
        yield {
            "noise": dataclasses.asdict(watch(LOOK_SECONDS)),
            "wake_up_ns": wake_up_ns(cpus),
        }
        return
    trials = _on_this_host(order.trials)
    for sample in samples(trials, order.profile, order.run_id, cpus):
        yield sample.to_json()


def _on_this_host(trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Find the interpreters that trials name: their paths are the conductor's."""
    names = {trial.cell.interpreter.name for trial in trials} - {""}
    found = {name: with_libraries(resolve([name])[0], ROOT) for name in names}
    return [
        dataclasses.replace(
            trial,
            cell=dataclasses.replace(
                trial.cell,
                interpreter=found.get(trial.cell.interpreter.name, trial.cell.interpreter),
            ),
        )
        for trial in trials
    ]


def main() -> None:
    """Do as told."""
    order = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the worker that started this
    die_with_parent()
    try:
        with interruptible(), alone():
            for record in records(order):
                print(json.dumps(record, allow_nan=False), flush=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
