"""pools: what a task costs, in what order results come, a task that raises, a worker that dies."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, exactly

FORK = multiprocessing.get_context("fork")
WORKERS = 3
UNITS = (3, 1, 2)
AS_THEY_COME, IN_ORDER = "callbacks as results come", "map in order"
RAISES, DIES = "an error comes out", "a dead worker is told"
SUBMIT, MAP = "a task", "a task, by map"
PATIENCE_SECONDS = 1.0


def nothing(_number: int) -> None:
    """A task."""


def wait(unit: float, units: int) -> int:
    """A task that takes so many units."""
    time.sleep(unit * units)
    return units


def fail(_number: int) -> None:
    """A task that raises."""
    raise ValueError("on purpose")


def die(_number: int) -> None:
    """A task that takes its process along."""
    os._exit(3)


class OfExecutor:
    """What is done with an executor of concurrent.futures."""

    def __init__(self, pool: Executor) -> None:
        self.pool = pool

    def submit(self, tasks: int) -> None:
        """Give tasks one by one, and wait for all."""
        for future in [self.pool.submit(nothing, number) for number in range(tasks)]:
            future.result()

    def map(self, task: Callable[[int], Any], numbers: Any) -> list[Any]:
        """Give tasks together."""
        return list(self.pool.map(task, numbers))

    def call_back(
        self, task: Callable[[int], int], numbers: Any, heard: Callable[[int], Any]
    ) -> None:
        """Give tasks with a callback, and wait for all."""
        futures = [self.pool.submit(task, number) for number in numbers]
        for future in futures:
            future.add_done_callback(lambda done: heard(done.result()))
        for future in futures:
            future.result()

    def error_of(self, task: Callable[[int], Any]) -> bool:
        """Return whether the error of a task comes out of it, and soon."""
        try:
            self.pool.submit(task, 0).result(PATIENCE_SECONDS)
        except TimeoutError:
            return False
        except Exception:  # noqa: BLE001  # whichever it is: that it comes is the question
            return True
        return False

    def close(self) -> None:
        """End it."""
        self.pool.shutdown(cancel_futures=True)


class OfPool:
    """What is done with a pool of multiprocessing."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def submit(self, tasks: int) -> None:
        """Give tasks one by one, and wait for all."""
        for result in [self.pool.apply_async(nothing, (number,)) for number in range(tasks)]:
            result.get()

    def map(self, task: Callable[[int], Any], numbers: Any) -> list[Any]:
        """Give tasks together."""
        return self.pool.map(task, numbers)

    def call_back(
        self, task: Callable[[int], int], numbers: Any, heard: Callable[[int], Any]
    ) -> None:
        """Give tasks with a callback, and wait for all."""
        for result in [self.pool.apply_async(task, (each,), callback=heard) for each in numbers]:
            result.wait()

    def error_of(self, task: Callable[[int], Any]) -> bool:
        """Return whether the error of a task comes out of it, and soon."""
        try:
            self.pool.apply_async(task, (0,)).get(PATIENCE_SECONDS)
        except multiprocessing.TimeoutError:
            return False
        except Exception:  # noqa: BLE001  # likewise
            return True
        return False

    def close(self) -> None:
        """End it."""
        self.pool.terminate()
        self.pool.join()


POOLS: dict[str, Callable[[], OfExecutor | OfPool]] = {
    "ThreadPoolExecutor": lambda: OfExecutor(ThreadPoolExecutor(WORKERS)),
    "ProcessPoolExecutor": lambda: OfExecutor(ProcessPoolExecutor(WORKERS, FORK)),
    "multiprocessing.Pool": lambda: OfPool(FORK.Pool(WORKERS)),
    "multiprocessing.ThreadPool": lambda: OfPool(ThreadPool(WORKERS)),
}


def order_of_callbacks(pool: OfExecutor | OfPool, unit: float) -> list[int]:
    """Return in what order tasks of 3, 1 and 2 units are heard of."""
    order: list[int] = []
    all_heard = threading.Event()

    def heard(units: int) -> None:
        order.append(units)
        if len(order) == len(UNITS):
            all_heard.set()

    pool.call_back(functools.partial(wait, unit), UNITS, heard)
    all_heard.wait(PATIENCE_SECONDS)
    return order


def measure(lab: Lab) -> None:
    """Time tasks, look at orders, raise, and last of all die."""
    unit, tasks = lab.pick((0.03, 5), (0.05, 50), (0.05, 50), (0.1, 50))
    for name, make in POOLS.items():
        lab.say(name)
        pool = make()
        try:
            lab.time(name, SUBMIT, lambda at=pool: at.submit(tasks), per=tasks)
            lab.time(name, MAP, lambda at=pool: at.map(nothing, range(tasks)), per=tasks)
            lab.report(name, AS_THEY_COME, "yes", order_of_callbacks(pool, unit) == sorted(UNITS))
            mapped = pool.map(functools.partial(wait, unit), UNITS)
            lab.report(name, IN_ORDER, "yes", mapped == list(UNITS))
            lab.report(name, RAISES, "yes", pool.error_of(fail))
            if "Process" in name or name.endswith(".Pool"):
                lab.report(name, DIES, "yes", pool.error_of(die))
        finally:
            pool.close()


def judge(found: Found) -> Verdict:
    """Callbacks come as results do, map keeps the order, an error comes out."""
    return all_of(
        [
            exactly(found.of(name, figure), 1, f"{name}, {figure}: {{}}")
            for name in POOLS
            for figure in (AS_THEY_COME, IN_ORDER, RAISES)
        ]
    )
