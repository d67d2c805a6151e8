"""race: 2 tickets and 8 buyers, and 180 less 1, 180 times; with and without a lock."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly

TICKETS, BUYERS = 2, 8
START = 180
LEFT = "left when each has taken one"
LOOK_SECONDS = 0.005  # between looking and taking, as a database would need
FORK = multiprocessing.get_context("fork")

Lock = AbstractContextManager[Any]


def buy(left: Any, sold: Any, lock: Lock, gate: Any) -> None:
    """Buy a ticket if there is one: come in together with the others, look, think, take."""
    gate.wait()
    with lock:
        seen = left.value
        time.sleep(LOOK_SECONDS)
        if seen > 0:
            left.value = seen - 1
            with sold.get_lock():
                sold.value += 1


def take_one(left: Any, lock: Lock) -> None:
    """Take one of 180: read, let others run, write."""
    with lock:
        seen = left.value
        time.sleep(0)
        left.value = seen - 1


def in_processes(target: Callable[..., None], number: int, *arguments: Any) -> None:
    """Run so many processes at once, and wait for them."""
    _run([FORK.Process(target=target, args=arguments) for _ in range(number)])


def in_threads(target: Callable[..., None], number: int, *arguments: Any) -> None:
    """Run so many threads at once, and wait for them."""
    _run([threading.Thread(target=target, args=arguments) for _ in range(number)])


def _run(workers: list[Any]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def tickets(run: Callable[..., None], lock: Lock) -> int:
    """Return how many tickets were sold."""
    left, sold = FORK.Value("i", TICKETS, lock=False), FORK.Value("i", 0)
    run(buy, BUYERS, left, sold, lock, FORK.Barrier(BUYERS))
    return int(sold.value)


def countdown(run: Callable[..., None], lock: Lock, takers: int) -> int:
    """Return what is left of 180 when so many have taken one each; 180 should leave 0."""
    left = FORK.Value("i", takers, lock=False)
    run(take_one, takers, left, lock)
    return int(left.value)


WAYS: dict[str, tuple[Callable[..., None], Callable[[], Lock]]] = {
    "processes, no lock": (in_processes, contextlib.nullcontext),
    "processes, a lock": (in_processes, FORK.Lock),
    "threads, no lock": (in_threads, contextlib.nullcontext),
    "threads, a lock": (in_threads, threading.Lock),
}


def measure(lab: Lab) -> None:
    """Sell the tickets, and count down from 180, in each way."""
    for way, (run, make) in WAYS.items():
        rounds = range(lab.pick(1, 3, 5, 20))
        lab.report(way, "sold of 2", "count", [tickets(run, make()) for _ in rounds])
        takers = lab.pick(30, START, START, START)
        lab.report(way, LEFT, "count", [countdown(run, make(), takers) for _ in rounds])


def judge(found: Found) -> Verdict:
    """Without a lock too many, with one as many as there are."""
    return all_of(
        [
            verdict
            for who in ("processes", "threads")
            for verdict in (
                at_least(
                    found.of(f"{who}, no lock", "sold of 2"),
                    TICKETS + 1,
                    f"{who} without a lock sold {{}} of 2 tickets",
                ),
                exactly(
                    found.of(f"{who}, a lock", "sold of 2"),
                    TICKETS,
                    f"{who} with a lock sold {{}} of 2 tickets",
                ),
                exactly(
                    found.of(f"{who}, a lock", LEFT),
                    0,
                    f"{who} with a lock leave {{}} of 180",
                ),
            )
        ]
    )
