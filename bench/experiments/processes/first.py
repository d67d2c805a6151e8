"""first-word: after start(), who prints first: who started, or who was started."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, at_most

FIGURE = "the main line is first"
FORK: Any = multiprocessing.get_context("fork")


def main_is_first(worker: Callable[..., Any]) -> bool:
    """Start a worker; both write a letter into one pipe as their first act."""
    reading, writing = os.pipe()
    one = worker(target=os.write, args=(writing, b"w"))
    one.start()
    os.write(writing, b"m")
    one.join()
    os.close(writing)
    letters = os.read(reading, 2)
    os.close(reading)
    return letters == b"mw"


def measure(lab: Lab) -> None:
    """Ask often, of processes and threads; the share over batches, so that it has an interval."""
    for name, worker in {"process": FORK.Process, "thread": threading.Thread}.items():
        shares = []
        for _ in range(max(2, lab.rounds)):
            found = [main_is_first(worker) for _ in range(lab.pick(5, 20, 50, 100))]
            shares.append(sum(found) / len(found))
            time.sleep(0)
        lab.report(name, FIGURE, "share", shares)


def judge(found: Found) -> Verdict:
    """The main line comes first with a process, the thread's with a thread."""
    return all_of(
        [
            at_least(found.of("process"), 0.9, "with a process the main line is first in {}"),
            at_most(found.of("thread"), 0.1, "with a thread the main line is first in {}"),
        ]
    )
