"""A run: every trial of a plan in its order, each stored as it finishes.

A failed trial is stored as failed and the run goes on. Ctrl-C or SIGTERM ends the trial under way
and the run; every trial stored before that stays.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from types import FrameType
from typing import NoReturn

from bench.machine import fingerprint
from bench.placement import allowed_cpus
from bench.plan import Trial
from bench.progress import Reporter
from bench.scenarios import Profile
from bench.trial import measure
from reports.record import Run
from reports.store import RunFolder


class Outcome(Enum):
    """How a run ended."""

    COMPLETE = "complete"
    FAILED = "a trial failed"
    INTERRUPTED = "interrupted"


def describe(profile: Profile, models: Sequence[str], seed: int) -> Run:
    """Return the record of a run that begins now, with an id that sorts by time."""
    now = datetime.now(UTC)
    return Run(
        id=f"{now:%Y%m%dT%H%M%SZ}-{profile.name}",
        started=now.isoformat(timespec="seconds"),
        profile=profile.name,
        seed=seed,
        models=list(models),
        scenarios=list(dict.fromkeys(scenario.name for scenario in profile.scenarios)),
        blocks=profile.blocks,
        window_seconds=profile.window_seconds,
        warm_up_seconds=profile.warm_up_seconds,
        machine=fingerprint(),
    )


def conduct(
    trials: Sequence[Trial], profile: Profile, folder: RunFolder, run_id: str, reporter: Reporter
) -> Outcome:
    """Run `trials` in order and store each; StoreError when the disk will not take one."""
    outcome = Outcome.COMPLETE
    cpus = allowed_cpus()
    try:
        with interruptible(), reporter:
            for trial in trials:
                sample = measure(trial, profile, run_id, cpus)
                folder.append(sample)
                reporter.finished(sample)
                if sample.failure:
                    outcome = Outcome.FAILED
    except KeyboardInterrupt:
        return Outcome.INTERRUPTED
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
