"""semaphore: how many are inside at once."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_most, exactly

FORK: Any = multiprocessing.get_context("fork")
PLACES, WORKERS = 5, 20
MOST = "most inside at once"
EXTRA = "released once too often"


def work(semaphore: Any, inside: Any, most: Any, seconds: float) -> None:
    """Go in, be counted, stay a moment, and go out."""
    with semaphore:
        with inside.get_lock():
            inside.value += 1
            most.value = max(most.value, inside.value)
        time.sleep(seconds)
        with inside.get_lock():
            inside.value -= 1


def crowd(worker: Callable[..., Any], semaphore: Any, seconds: float) -> int:
    """Send all of them to a semaphore; return how many were inside at once."""
    inside, most = FORK.Value("i", 0), FORK.Value("i", 0, lock=False)
    workers = [worker(target=work, args=(semaphore, inside, most, seconds)) for _ in range(WORKERS)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return int(most.value)


WAYS: dict[str, tuple[Callable[..., Any], Callable[[int], Any]]] = {
    "threading.Semaphore": (threading.Thread, threading.Semaphore),
    "threading.BoundedSemaphore": (threading.Thread, threading.BoundedSemaphore),
    "multiprocessing.Semaphore": (FORK.Process, FORK.Semaphore),
}


def measure(lab: Lab) -> None:
    """Count in each, and in one that was released without having been taken."""
    seconds = lab.pick(0.005, 0.02, 0.05, 0.1)
    for name, (worker, make) in WAYS.items():
        most, units = [], []
        for _ in range(lab.rounds):
            start = time.perf_counter()
            most.append(crowd(worker, make(PLACES), seconds))
            units.append(time.perf_counter() - start)
        lab.report(name, MOST, "count", most)
        lab.report(name, "all are through after", "s", units)
    loose = threading.Semaphore(PLACES)
    loose.release()
    lab.report(
        f"threading.Semaphore, {EXTRA}", MOST, "count", crowd(threading.Thread, loose, seconds)
    )
    lab.report(f"threading.BoundedSemaphore, {EXTRA}", "is refused", "yes", refuses())


def refuses() -> bool:
    """Return whether a bounded semaphore refuses to be released too often."""
    try:
        threading.BoundedSemaphore(PLACES).release()
    except ValueError:
        return True
    return False


def judge(found: Found) -> Verdict:
    """Never more than there are places; a bounded one cannot be given more."""
    return all_of(
        [
            *(
                at_most(
                    found.of(name, MOST), PLACES, f"{name}: {{}} were inside of {PLACES} places"
                )
                for name in WAYS
            ),
            exactly(
                found.of(f"threading.BoundedSemaphore, {EXTRA}", "is refused"),
                1,
                "a release too many is refused by a bounded one: {}",
            ),
        ]
    )
