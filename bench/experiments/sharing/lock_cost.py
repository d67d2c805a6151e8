"""lock-cost: what a lock costs, wanted and not, and what it costs to become serial."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab, elapsed
from bench.experiments.rules import Verdict, all_of, at_least

FORK: Any = multiprocessing.get_context("fork")
LOCKS: dict[str, Callable[[], Any]] = {
    "no lock": contextlib.nullcontext,
    "threading.Lock": threading.Lock,
    "threading.RLock": threading.RLock,
    "multiprocessing.Lock": FORK.Lock,
}
MANY = 1_000
FREE, CONTENDED = "free", "wanted by two"
SERIAL, CONCURRENT = "jobs under one lock", "jobs without"
WORKERS = (1, 2, 4, 8)


def take(lock: Any) -> None:
    """Take and give back a lock, often."""
    for _ in range(MANY):
        with lock:
            pass


def contended(worker: Callable[..., Any], lock: Any, times: int) -> float:
    """Return the seconds that each taking costs when two take the lock in turns."""

    def work() -> None:
        for _ in range(times):
            take(lock)

    workers = [worker(target=work) for _ in range(2)]
    return elapsed(lambda: _run(workers)) / (2 * times * MANY)


def jobs(workers: int, lock: Any, seconds: float) -> float:
    """Return how long so many threads take, each with one job, under a lock."""

    def work() -> None:
        with lock:
            time.sleep(seconds)

    return elapsed(lambda: _run([threading.Thread(target=work) for _ in range(workers)]))


def _run(workers: list[Any]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def measure(lab: Lab) -> None:
    """Time each lock alone and contended, then jobs of 1 to 8 workers."""
    for name, make in LOCKS.items():
        lab.time(name, FREE, functools.partial(take, make()), per=MANY)
        worker = FORK.Process if name.startswith("multi") else threading.Thread
        # Enough that starting a process does not count.
        times = lab.pick(2, 30, 100, 300)
        found = [contended(worker, make(), times) for _ in range(lab.rounds)]
        lab.report(name, CONTENDED, "s", found)
    seconds = lab.pick(0.005, 0.02, 0.05, 0.1)
    for workers in WORKERS:
        for figure, make in {SERIAL: threading.Lock, CONCURRENT: contextlib.nullcontext}.items():
            found = [jobs(workers, make(), seconds) for _ in range(lab.rounds)]
            lab.report(f"{workers} worker{'s' * (workers > 1)}", figure, "s", found)


def judge(found: Found) -> Verdict:
    """Under one lock 8 jobs are serial."""
    return all_of(
        [
            at_least(
                ratio(found.of("8 workers", SERIAL), found.of("8 workers", CONCURRENT)),
                4,
                "8 jobs under one lock take {} times as long as without",
            ),
            at_least(
                ratio(found.of("8 workers", SERIAL), found.of("1 worker", SERIAL)),
                5,
                "8 jobs under one lock take {} times as long as one",
            ),
        ]
    )
