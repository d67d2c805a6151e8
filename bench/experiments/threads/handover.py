"""handover: how long a thread waits for the GIL beside one that computes."""

from __future__ import annotations

__all__ = ["computing"]

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, between

INTERVALS = (0.0005, 0.005, 0.05)
P99, P50 = "p99 of waking", "p50 of waking"
ALONE = "alone"


@contextmanager
def computing() -> Iterator[None]:
    """Have another thread compute meanwhile."""
    ended = threading.Event()

    def compute() -> None:
        while not ended.is_set():
            for _ in range(1000):
                pass

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def lateness(samples: int) -> list[float]:
    """Sleep a moment, often; return by how much each sleep was too long, in order of size."""
    late = []
    for _ in range(samples):
        start = time.perf_counter()
        time.sleep(0.0005)
        late.append(max(0.0, time.perf_counter() - start - 0.0005))
    return sorted(late)


def name_of(seconds: float) -> str:
    """Return what a switch interval is called."""
    return f"interval {seconds * 1e3:g} ms"


def measure(lab: Lab) -> None:
    """Wake up alone, then beside a thread that computes, with each switch interval."""
    samples = lab.pick(5, 30, 100, 200)
    before = sys.getswitchinterval()
    try:
        _report(lab, ALONE, [lateness(samples) for _ in range(lab.rounds)])
        for interval in INTERVALS:
            sys.setswitchinterval(interval)
            with computing():
                found = [lateness(samples) for _ in range(lab.rounds)]
            _report(lab, name_of(interval), found)
    finally:
        sys.setswitchinterval(before)


def _report(lab: Lab, case: str, found: list[list[float]]) -> None:
    for figure, share in {P99: 0.99, P50: 0.5}.items():
        values = [late[min(len(late) - 1, math.ceil(share * len(late)) - 1)] for late in found]
        lab.report(case, figure, "s", values)


def judge(found: Found) -> Verdict:
    """Waking takes about the interval, and follows it."""
    waited = ratio(found.of(name_of(0.05), P50), found.of(name_of(0.005), P50))
    row = found.of(name_of(0.05), P50)
    return all_of(
        [
            at_least(waited, 3, "with ten times the interval the median wait is {} times as long"),
            between(row, 0.02, 0.2, "with an interval of 50 ms the median wait is {}"),
        ]
    )
