"""How long a plan takes, before it starts. Pure: cells, a profile's seconds and blocks in.

A trial is its warm-up, its window and what is around them: a server and a generator that start and
end. The null server's ceiling has a turn of its own in each block, under each load that has one.
Drains are left out, since most end at once; and no plan knows how busy the machine will be.
"""

from __future__ import annotations

__all__ = ["about", "plan_seconds"]

from collections.abc import Sequence

from bench.plan.order import PlannedCell
from bench.plan.scenarios import Profile

AROUND_SECONDS = 0.5
"""Of a trial, beside its window: what twelve of `quick` took on a shared machine of two CPUs."""
CEILING_AROUND_SECONDS = 0.2
"""The same of a ceiling, whose server is in C."""
WHOLE_MINUTES_FROM = 90.0


def plan_seconds(cells: Sequence[PlannedCell], profile: Profile) -> float:
    """Return about how many seconds all blocks of a plan will take."""
    trial = profile.warm_up_seconds + profile.window_seconds + AROUND_SECONDS
    # As in a run: the size of a pool is nothing to the null server.
    loads = {cell.scenario.served(workers=0) for cell in cells if cell.scenario.saturates}
    seconds = profile.ceiling_seconds
    ceilings = len(loads) * (seconds + CEILING_AROUND_SECONDS) if seconds else 0.0
    return profile.blocks * (len(cells) * trial + ceilings)


def about(seconds: float) -> str:
    """Return a duration in words that promise no more than an estimate can."""
    if seconds < WHOLE_MINUTES_FROM:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} minutes"
