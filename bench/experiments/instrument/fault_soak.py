"""fault-soak: the engine against a server that does everything wrong.

Loads the faulty server in one-second windows until the engine has counted so many requests that
came to grief (a million, unless told), and shows them by kind. All must be of the kinds that the
server provokes, and the engine must have no more memory at the end than after its first tenth. By
how much the slowest window exceeded its time is a figure to be read, on a quiet machine. A
connection that fails takes its outstanding requests along, and each counts: 64 here.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, exactly
from clients.engine.driver import Engine
from clients.load import AimedLoad
from clients.targets.faulty import FAULTS

REQUESTS = 1_000_000
CONNECTIONS = 64
DEPTH = 64
WINDOW_SECONDS = 1.0
STALL_SECONDS = 0.05
MOST_WINDOWS = 120
GROWTH_BYTES = 2**20
PAGE_BYTES = 4096

EXPECTED = {kind for kind, _ in FAULTS.values()}
LEFT_OVER = {"unfinished"}
"""Requests that a window's end finds outstanding, which is no fault."""


class Soak(NamedTuple):
    """What came of it."""

    errors: dict[str, int]  # by kind, all of them
    seconds: float
    latest_seconds: float  # by which the slowest window exceeded its time
    rss_bytes: tuple[int, int]  # after a tenth of the requests, and at the end

    @property
    def faulty(self) -> int:
        """Requests that a fault of the server ended."""
        return sum(count for kind, count in self.errors.items() if kind not in LEFT_OVER)

    def problems(self, requests: int) -> list[str]:
        """Return what is not as it must be."""
        missing = sorted(EXPECTED - {kind for kind, count in self.errors.items() if count})
        wrong = sorted({k for k, count in self.errors.items() if count} - EXPECTED - LEFT_OVER)
        growth = self.rss_bytes[1] - self.rss_bytes[0]
        checks = (
            (self.faulty < requests, f"only {self.faulty:,} of {requests:,} faulty requests"),
            (missing, f"never counted: {', '.join(missing)}"),
            (wrong, f"not the server's fault: {', '.join(wrong)}"),
            (growth > GROWTH_BYTES, f"memory grew by {growth:,} bytes"),
        )
        return [sentence for trouble, sentence in checks if trouble]


def soak(requests: int, window_seconds: float = WINDOW_SECONDS) -> Soak:
    """Load a faulty server until so many requests have failed, or MOST_WINDOWS have passed."""
    errors: Counter[str] = Counter()
    began = time.monotonic()
    latest = 0.0
    early = 0
    with faulty_server() as port:
        load = AimedLoad(
            port=port,
            connections=CONNECTIONS,
            depth=DEPTH,
            request_timeout_seconds=STALL_SECONDS,
        )
        engine = Engine(load)
        try:
            engine.open()
            for _ in range(MOST_WINDOWS):
                start = time.monotonic()
                engine.measure(window_seconds, window_seconds)
                latest = max(latest, time.monotonic() - start - window_seconds)
                errors = Counter(engine.tally()["errors"])
                done = sum(errors.values())
                if not early and done >= requests / 10:
                    early = rss_bytes()
                if done >= requests:
                    break
            engine.drain(STALL_SECONDS)
            errors = Counter(engine.tally()["errors"])
        finally:
            engine.close()
    return Soak(dict(errors), time.monotonic() - began, latest, (early, rss_bytes()))


@contextlib.contextmanager
def faulty_server() -> Iterator[int]:
    """Run the faulty server; gives its port."""
    with subprocess.Popen(
        [sys.executable, "-m", "clients.targets.faulty"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        # Leaving closes its standard input, which ends it.
        assert process.stdout is not None  # it was opened as a pipe
        yield int(process.stdout.readline())


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def measure(lab: Lab) -> None:
    """Soak, and report what came of it."""
    requests = lab.pick(20_000, 50_000, 200_000, REQUESTS)
    result = soak(requests, lab.pick(0.1, 0.1, WINDOW_SECONDS, WINDOW_SECONDS))
    for kind, count in result.errors.items():
        if count:
            lab.report(kind, "requests", "count", count)
    lab.report("all faulty ones", "requests", "count", result.faulty)
    lab.report("memory after a tenth", "memory", "MiB", result.rss_bytes[0] / 2**20)
    lab.report("memory at the end", "memory", "MiB", result.rss_bytes[1] / 2**20)
    lab.report("the latest window", "late by", "s", result.latest_seconds)
    problems = result.problems(requests)
    for problem in problems:
        lab.note(problem)
    lab.report("problems", "found", "count", len(problems))


def judge(found: Found) -> Verdict:
    """Every fault was counted as what it was, and none left anything in memory."""
    return exactly(found.of("problems", "found"), 0, "there are {} problems")
