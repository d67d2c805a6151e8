"""The load engine's phases and threads; what a thread does is in `clients._engine`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Protocol

from clients._engine import Worker
from clients.exchange import Exchange
from clients.load import ERROR_KINDS, Load

MAX_INTERVALS = 1024
"""Of a window: each costs a histogram of 216 KiB in every thread."""


class Driver(Protocol):
    """What the engine and its oracle, `clients.reference`, have in common.

    The phases come in this order; between them the driver holds still with requests outstanding.
    `warm_up`, `measure` and `drain` may be repeated on the same connections.
    """

    def open(self) -> None:
        """Try to open every connection once; those that failed are tried again under load."""

    def warm_up(self, seconds: float) -> None:
        """Load the server outside every figure but the errors."""

    def measure(self, seconds: float, interval_seconds: float) -> None:
        """Load the server and count; the time axis has a step of `interval_seconds`."""

    def drain(self, seconds: float) -> None:
        """Take answers for at most `seconds`; what is left then is unfinished."""

    def tally(self) -> dict[str, Any]:
        """Return the figures of the last window, as `Tally.from_raw` takes them."""

    def close(self) -> None:
        """Close the connections and let go of everything else."""


class Engine:
    """A `Driver` over epoll, without the GIL, in `load.threads` threads."""

    def __init__(self, load: Load) -> None:
        self._workers: list[Worker] = []
        exchange = Exchange.of(load)
        first = 0
        for index in range(load.threads):
            count = (load.connections - first) // (load.threads - index)
            self._workers.append(Worker(load, exchange, first, count))
            first += count
        self._pool = ThreadPoolExecutor(load.threads)
        self._seconds = self._interval_seconds = self._cpu_seconds = 0.0

    def open(self) -> None:
        """Try to open every connection once, a limited number at a time."""
        self._each(Worker.open)

    def warm_up(self, seconds: float) -> None:
        """Load the server for `seconds`, outside every figure but the errors."""
        begin = time.monotonic_ns()
        self._each(Worker.warm_up, begin, begin + _ns(seconds))

    def measure(self, seconds: float, interval_seconds: float) -> None:
        """Load the server for `seconds`, and count; ValueError for too many intervals."""
        if not 1 <= math.ceil(seconds / interval_seconds) <= MAX_INTERVALS:
            raise ValueError(
                f"{seconds} s make 1 to {MAX_INTERVALS} intervals, not of {interval_seconds} s"
            )
        cpu = time.process_time()
        begin = time.monotonic_ns()
        self._each(Worker.measure, begin, begin + _ns(seconds), _ns(interval_seconds))
        self._cpu_seconds = time.process_time() - cpu
        self._seconds = seconds
        self._interval_seconds = interval_seconds

    def drain(self, seconds: float) -> None:
        """Take answers for at most `seconds`; what is left then is unfinished."""
        self._each(Worker.drain, time.monotonic_ns() + _ns(seconds))

    def tally(self) -> dict[str, Any]:
        """Return the figures of the last window, those of the threads added up."""
        parts = [worker.results() for worker in self._workers]

        def joined(name: str) -> list[Any]:
            return [figure for part in parts for figure in part[name]]

        def added(name: str) -> list[int]:
            return [sum(figures) for figures in zip(*(part[name] for part in parts), strict=True)]

        return {
            "seconds": self._seconds,
            "requests": sum(joined("interval_requests")),
            "errors": dict(zip(ERROR_KINDS, added("errors"), strict=True)),
            "answered": joined("answered"),
            "unanswered": joined("unanswered"),
            "connecting": joined("connecting"),
            "requests_per_connection": joined("requests_per_connection"),
            "interval_seconds": self._interval_seconds,
            "interval_requests": added("interval_requests"),
            "interval_latencies": [
                [pair for latencies in interval for pair in latencies]
                for interval in zip(*(part["interval_latencies"] for part in parts), strict=True)
            ],
            "generator_cpu_seconds": self._cpu_seconds,
        }

    def close(self) -> None:
        """Close the connections and end the threads."""
        for worker in self._workers:
            worker.close()
        self._pool.shutdown()

    def _each(self, phase: Callable[..., None], *times: int) -> None:
        """Run a phase in all threads; an interrupt of the caller ends it early."""
        futures = [self._pool.submit(phase, worker, *times) for worker in self._workers]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for worker in self._workers:
                worker.cancel()
            wait(futures)
            raise


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
