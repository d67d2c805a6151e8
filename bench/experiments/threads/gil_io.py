"""gil-io: many waits, in processes and in threads."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab, cost
from bench.experiments.rules import Verdict, at_least

FORK: Any = multiprocessing.get_context("fork")
GAIN = "processes / threads"


def waits(worker: Callable[..., Any], number: int, seconds: float) -> None:
    """Start so many that each wait, and wait for all."""
    workers = [worker(target=time.sleep, args=(seconds,)) for _ in range(number)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()


def measure(lab: Lab) -> None:
    """Let both wait, in interleaved rounds."""
    number, seconds = lab.pick((20, 0.02), (200, 0.2), (400, 0.4), (1_000, 1.0))
    case = f"{number:,} waits of {seconds:g} s"
    found = [
        (
            cost(lambda: waits(FORK.Process, number, seconds)),
            cost(lambda: waits(threading.Thread, number, seconds)),
        )
        for _ in range(lab.rounds)
    ]
    lab.report(case, GAIN, "times", [one.seconds / other.seconds for one, other in found])
    for figure, place in {"processes": 0, "threads": 1}.items():
        lab.report(case, figure, "s", [each[place].seconds for each in found])
        lab.report(case, f"CPU of {figure}", "s", [each[place].cpu_seconds for each in found])


def judge(found: Found) -> Verdict:
    """Threads are surely faster where there is nothing but waiting; the course has 3.9 times."""
    (row,) = found.cases(GAIN)
    return at_least(row, 1.2, "processes take {} the time of threads (the course: 3.9)")
