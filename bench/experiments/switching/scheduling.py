"""scheduling: short jobs behind long ones, with one worker and three ways to choose the next."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least

FIRST_COME, SHORTEST, FEEDBACK = "first come", "shortest first", "round robin with feedback"
SHORT, LONG = "short", "long"
LONG_UNITS = 10


class Job(NamedTuple):
    """What is to be done, and when it came, in units."""

    kind: str
    units: int
    came: int


def load(shorts: int, longs: int) -> list[Job]:
    """Return the load: the long ones come first, a short one with every unit after that."""
    first = [Job(LONG, LONG_UNITS, 0) for _ in range(longs)]
    return [*first, *(Job(SHORT, 1, number) for number in range(shorts))]


Slice = tuple[Job, int, int]
"""A job, how many units of it are done next, and how many are left then."""
Discipline = Callable[["Arrivals"], Iterator[Slice]]


class Arrivals:
    """The jobs as they come, by a clock that counts in units."""

    def __init__(self, jobs: list[Job], now: Callable[[], float]) -> None:
        self._coming = deque(sorted(jobs, key=lambda job: job.came))
        self._now = now

    def __call__(self, block: bool) -> list[Job]:  # whether there is nothing else to do
        """Return those that have come since; with `block` at least one, while any are to come."""
        found: list[Job] = []
        while self._coming and (self._coming[0].came <= self._now() or (block and not found)):
            found.append(self._coming.popleft())
        return found


def first_come(arrivals: Arrivals) -> Iterator[Slice]:
    """Do each to its end in the order in which they came."""
    waiting: deque[Job] = deque()
    while new := arrivals(not waiting) or waiting:
        if new is not waiting:
            waiting.extend(new)
        job = waiting.popleft()
        yield job, job.units, 0


def shortest_first(arrivals: Arrivals) -> Iterator[Slice]:
    """Do the shortest of those that have come to its end."""
    waiting: list[tuple[int, int, Job]] = []
    number = 0
    while True:
        for job in arrivals(not waiting):
            heapq.heappush(waiting, (job.units, number, job))
            number += 1
        if not waiting:
            return
        job = heapq.heappop(waiting)[-1]
        yield job, job.units, 0


def feedback(arrivals: Arrivals) -> Iterator[Slice]:
    """Do a slice of each in turns; who has used it up goes to a lower queue, with longer ones."""
    queues: list[deque[tuple[Job, int]]] = [deque() for _ in range(4)]
    while True:
        queues[0].extend((job, job.units) for job in arrivals(not any(queues)))
        level = next((level for level, queue in enumerate(queues) if queue), None)
        if level is None:
            return
        job, left = queues[level].popleft()
        units = min(left, 2**level)
        yield job, units, left - units
        if left > units:
            queues[min(level + 1, len(queues) - 1)].append((job, left - units))


DISCIPLINES: dict[str, Discipline] = {
    FIRST_COME: first_come,
    SHORTEST: shortest_first,
    FEEDBACK: feedback,
}


def served(discipline: Discipline, jobs: list[Job], unit_seconds: float) -> dict[str, list[float]]:
    """Have a worker thread do them; return response times by kind, in units."""
    start = time.monotonic()

    def now() -> float:
        return (time.monotonic() - start) / unit_seconds

    times: dict[str, list[float]] = {SHORT: [], LONG: []}

    def work() -> None:
        for job, units, left in discipline(Arrivals(jobs, now)):
            time.sleep(units * unit_seconds)
            if not left:
                times[job.kind].append(now() - job.came)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    return times


def measure(lab: Lab) -> None:
    """Serve one load with each discipline."""
    shorts, unit = lab.pick((10, 0.002), (40, 0.003), (80, 0.005), (200, 0.005))
    for name, discipline in DISCIPLINES.items():
        found = [served(discipline, load(shorts, 3), unit) for _ in range(lab.rounds)]
        for kind in (SHORT, LONG):
            times = [sorted(each[kind]) for each in found]
            means = [sum(each) / len(each) for each in times]
            p99 = [each[math.ceil(0.99 * len(each)) - 1] for each in times]
            lab.report(name, f"mean of the {kind}", "times", means)
            lab.report(name, f"p99 of the {kind}", "times", p99)


def judge(found: Found) -> Verdict:
    """First come favours the long, shortest first the short, feedback the short without knowing."""
    mean = f"mean of the {SHORT}"
    longs = f"mean of the {LONG}"
    return all_of(
        [
            at_least(
                ratio(found.of(FIRST_COME, mean), found.of(SHORTEST, mean)),
                1.5,
                "the short wait {} times as long first come as shortest first",
            ),
            at_least(
                ratio(found.of(SHORTEST, longs), found.of(FIRST_COME, longs)),
                1.1,
                "the long take {} times as long shortest first as first come",
            ),
            at_least(
                ratio(found.of(FIRST_COME, mean), found.of(FEEDBACK, mean)),
                1.1,
                "the short wait {} times as long first come as with feedback",
            ),
        ]
    )
