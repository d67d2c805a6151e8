"""timer: how late a timer is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, at_most
from bench.experiments.threads.handover import computing

AHEAD_SECONDS = 0.02
EARLIEST, LATE = "earliest", "late by"
MOST_SECONDS = 0.01
THREADING, ASYNCIO, BESIDE = "threading.Timer", "loop.call_later", "Timer beside one that computes"

Clock = Callable[[], float]


def by_threading(samples: int, clock: Clock = time.monotonic) -> list[float]:
    """Set timers one after another; return by how much each was late by a clock."""
    late = []
    for _ in range(samples):
        rung: list[float] = []

        def ring(rung: list[float] = rung) -> None:
            rung.append(clock())

        due = clock() + AHEAD_SECONDS
        timer = threading.Timer(AHEAD_SECONDS, ring)
        timer.start()
        timer.join()
        late.append(rung[0] - due)
    return late


def by_asyncio(samples: int) -> list[float]:
    """Do the same with a loop's timers."""

    async def one() -> float:
        loop = asyncio.get_running_loop()
        rung = loop.create_future()
        due = time.monotonic() + AHEAD_SECONDS
        loop.call_later(AHEAD_SECONDS, lambda: rung.set_result(time.monotonic()))
        return float(await rung) - due

    async def all_of_them() -> list[float]:
        return [await one() for _ in range(samples)]

    return asyncio.run(all_of_them())


def measure(lab: Lab) -> None:
    """Set them alone, and beside a thread that computes."""
    samples = lab.pick(5, 20, 60, 200)
    _report(lab, THREADING, by_threading(samples))
    _report(lab, ASYNCIO, by_asyncio(samples))
    with computing():
        _report(lab, BESIDE, by_threading(samples))


def _report(lab: Lab, case: str, late: list[float]) -> None:
    lab.spread(case, LATE, "s", [max(0.0, each) for each in late])
    # Of early and late alike, to the microsecond: the loop's clock is compared with resolution.
    lab.report(case, EARLIEST, "s", min(late))


def judge(found: Found) -> Verdict:
    """Never early, and late by less than 10 ms."""
    return all_of(
        [
            part
            for case in (THREADING, ASYNCIO)
            for part in (
                at_least(
                    found.of(case, EARLIEST),
                    -1e-4,
                    f"{case}: the earliest is {{}} after it is due",
                ),
                at_most(found.of(case, LATE), MOST_SECONDS, f"{case}: late by {{}}"),
            )
        ]
    )
