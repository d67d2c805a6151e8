"""event: how long from set() to the first instruction of who waited."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_most
from bench.experiments.threads.handover import computing

FORK: Any = multiprocessing.get_context("fork")
FIGURE = "from set() to the waiter"
MOST_SECONDS = 0.001


def threads(samples: int, waiters: int = 1) -> list[float]:
    """Wake threads, often; returns the time until the last of them was awake."""
    found = []
    for _ in range(samples):
        event, ready = threading.Event(), threading.Barrier(waiters + 1)
        awake: list[float] = []

        def wait(event: Any = event, ready: Any = ready, awake: Any = awake) -> None:
            ready.wait()
            event.wait()
            awake.append(time.perf_counter())

        crowd = [threading.Thread(target=wait) for _ in range(waiters)]
        for each in crowd:
            each.start()
        ready.wait()
        time.sleep(0.002)  # so that they wait by now: what is measured is waking up
        start = time.perf_counter()
        event.set()
        for each in crowd:
            each.join()
        found.append(max(awake) - start)
    return found


def _answer(events: Any, awake: Any) -> None:
    for place, event in enumerate(events):
        event.wait()
        awake[place] = time.perf_counter()


def processes(samples: int) -> list[float]:
    """Wake a process, often; the clock is the same for all processes."""
    events = [FORK.Event() for _ in range(samples)]
    awake = FORK.Array("d", samples, lock=False)
    process = FORK.Process(target=_answer, args=(events, awake))
    process.start()
    starts = []
    for event in events:
        time.sleep(0.005)
        starts.append(time.perf_counter())
        event.set()
    process.join()
    return [end - start for start, end in zip(starts, awake, strict=True)]


def tasks(samples: int) -> list[float]:
    """Wake a task, often."""

    async def one() -> float:
        event = asyncio.Event()

        async def wait() -> float:
            await event.wait()
            return time.perf_counter()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        start = time.perf_counter()
        event.set()
        return await task - start

    async def all_of_them() -> list[float]:
        return [await one() for _ in range(samples)]

    return asyncio.run(all_of_them())


def measure(lab: Lab) -> None:
    """Wake each of them; the last beside a thread that computes."""
    samples = lab.pick(5, 50, 200, 500)
    lab.spread("asyncio task", FIGURE, "s", tasks(samples))
    lab.spread("thread", FIGURE, "s", threads(samples))
    lab.spread("10 threads, the last", FIGURE, "s", threads(samples, 10))
    lab.spread("process", FIGURE, "s", processes(samples))
    with computing():
        lab.spread(
            "thread beside one that computes", FIGURE, "s", threads(lab.pick(3, 10, 40, 100))
        )


def judge(found: Found) -> Verdict:
    """Whoever waits goes on at once: within a millisecond, unless another holds the GIL."""
    return all_of(
        [
            at_most(found.of(case), MOST_SECONDS, f"{case}: awake after {{}}")
            for case in ("asyncio task", "thread", "process")
        ]
    )
