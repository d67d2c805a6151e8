"""join: whether waiting for three jobs of 1, 2 and 3 units takes 3 units or 6."""

from __future__ import annotations

import functools
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab, elapsed
from bench.experiments.rules import Verdict, all_of, at_least, between

UNITS = (1, 2, 3)
FIGURE = "in units"

Start = Callable[[float], Any]
"""Starts a job that takes so many seconds."""


def a_process(seconds: float) -> Any:
    """Start a forked process."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(seconds,))
    process.start()
    return process


def a_thread(seconds: float) -> Any:
    """Start a thread."""
    thread = threading.Thread(target=time.sleep, args=(seconds,))
    thread.start()
    return thread


def together(start: Start, seconds: Sequence[float]) -> None:
    """Start all, then wait for each."""
    for job in [start(each) for each in seconds]:
        job.join()


def one_by_one(start: Start, seconds: Sequence[float]) -> None:
    """Wait for each before the next is started."""
    for each in seconds:
        start(each).join()


WAYS = {"started together": together, "one by one": one_by_one}


def measure(lab: Lab) -> None:
    """Wait in both ways, for processes and threads."""
    unit = lab.pick(0.02, 0.1, 0.3, 1.0)
    for what, start in {"processes": a_process, "threads": a_thread}.items():
        for how, wait in WAYS.items():
            seconds = [each * unit for each in UNITS]
            taken = [
                elapsed(functools.partial(wait, start, seconds)) / unit for _ in range(lab.rounds)
            ]
            lab.report(f"{what}, {how}", FIGURE, "times", taken)


def judge(found: Found) -> Verdict:
    """Started together they take 3 and a bit, one by one 6."""
    return all_of(
        [
            part
            for what in ("processes", "threads")
            for part in (
                between(found.of(f"{what}, started together"), 3, 4, f"{what} together take {{}}"),
                at_least(found.of(f"{what}, one by one"), 6, f"{what} one by one take {{}}"),
            )
        ]
    )
