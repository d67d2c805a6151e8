"""The load engine's phases and threads; what a thread does is in `clients.engine._engine`."""

from __future__ import annotations

__all__ = ["Engine", "allow_descriptors"]

import dataclasses
import math
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from clients.engine._engine import DatagramWorker, Worker
from clients.engine._schedule import Schedule
from clients.engine.exchange import Exchange
from clients.load import ERROR_KINDS, AimedLoad
from reports.tally import THREADS

MAX_INTERVALS = 1024
"""Of a window: each costs a histogram of 216 KiB in every thread."""


class Driver(Protocol):
    """What the engine and its oracle, `clients.engine.reference`, have in common.

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


@dataclass(frozen=True, slots=True)
class Share:
    """What one of the engine's threads gets of a load."""

    first: int  # number of its first connection
    busy: int
    idle: int
    schedule: Schedule | None  # its part of an open loop


def shares(load: AimedLoad, process: int = 0) -> list[Share]:
    """Deal a load out to the threads of one of the engine's processes.

    The first process has all that is busy; the others hold idle connections, with a thread each.
    Uniform arrivals take turns among the threads; Poisson arrivals at rate r are the sum of n
    independent ones at rate r/n.
    """
    held = [
        _deal(load.idle_connections, load.engine_processes, each)
        for each in range(load.engine_processes)
    ]
    if process:
        return [Share(load.connections + sum(held[:process]), 0, held[process], None)]
    dealt: list[Share] = []
    first = 0
    for index in range(load.engine_threads):
        busy = _deal(load.connections, load.engine_threads, index)
        idle = _deal(held[0], load.engine_threads, index)
        schedule = None
        if load.rate:
            turn_ns = index * 1e9 / load.rate if load.arrivals == "uniform" else 0.0
            rate = load.rate / load.engine_threads
            schedule = Schedule(rate, load.arrivals, (load.seed + index) % 2**64, turn_ns)
        dealt.append(Share(first, busy, idle, schedule))
        first += busy + idle
    return dealt


def _deal(count: int, hands: int, hand: int) -> int:
    return count * (hand + 1) // hands - count * hand // hands


def company_of(load: AimedLoad) -> list[tuple[AimedLoad, Share]]:
    """Return the load that is driven beside `load`, by a thread of its own; none without company.

    It is a closed loop of COMPUTE, whose connections are numbered after all others.
    """
    if not load.company:
        return []
    beside = dataclasses.replace(
        load,
        connections=load.company,
        kind="COMPUTE",
        argument=load.company_rounds,
        size_bytes=64,
        framing="frames",
        length_prefix=0,
        depth=1,
        session=0,
        rate=0.0,
        spin=False,
        idle_connections=0,
        engine_threads=1,
        engine_processes=1,
        company=0,
    )
    first = load.connections + load.idle_connections
    return [(beside, Share(first, load.company, 0, None))]


def allow_descriptors() -> None:
    """Raise this process's limit on descriptors as far as it may: one for each connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


WORKERS: Mapping[str, type[Worker]] = {"tcp": Worker, "udp": DatagramWorker}
"""What a thread of the engine is, by transport."""


class Engine:
    """A `Driver` over epoll, without the GIL, in `load.engine_threads` threads."""

    def __init__(self, load: AimedLoad, process: int = 0) -> None:
        """Prepare the part of a load that one of `load.engine_processes` drives."""
        allow_descriptors()
        exchange = Exchange.of(load)
        self._workers = [
            WORKERS[load.transport](load, exchange, share) for share in shares(load, process)
        ]
        beside = [] if process else company_of(load)
        self._company = [
            WORKERS[each.transport](each, Exchange.of(each), share) for each, share in beside
        ]
        self._pool = ThreadPoolExecutor(len(self._workers) + len(self._company))
        self._seconds = self._interval_seconds = self._cpu_seconds = self._open_seconds = 0.0
        self._began = 0  # the last window, in ns of the monotonic clock

    def open(self) -> None:
        """Try to open every connection once, a limited number at a time."""
        begin = time.monotonic()
        self._each(Worker.open)
        self._open_seconds = time.monotonic() - begin

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
        self._interval_seconds = interval_seconds  # also of a window that is interrupted
        cpu = time.process_time()
        begin = time.monotonic_ns()
        self._each(Worker.measure, begin, begin + _ns(seconds), _ns(interval_seconds))
        self._cpu_seconds = time.process_time() - cpu
        self._seconds = seconds
        self._began = begin

    def measure_at(self, instant_ns: int, seconds: float, interval_seconds: float) -> int:
        """Do that from an instant of this host's monotonic clock on; return when it did begin.

        So engines of several hosts begin together. An instant that is over already is now.
        """
        while (left := instant_ns - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        self.measure(seconds, interval_seconds)
        return self._began

    def drain(self, seconds: float) -> None:
        """Take answers for at most `seconds`; what is left then is unfinished."""
        self._each(Worker.drain, time.monotonic_ns() + _ns(seconds))

    def tally(self) -> dict[str, Any]:
        """Return the figures of the last window, those of the threads added up.

        Of the company its answers are counted, and what befell it is among the errors.
        """
        parts = [worker.results() for worker in self._workers]
        company = [worker.results() for worker in self._company]
        figures = {name: rule([part[name] for part in parts]) for name, rule in THREADS.items()}
        errors = THREADS["errors"]([part["errors"] for part in (*parts, *company)])
        return figures | {
            "errors": dict(zip(ERROR_KINDS, errors, strict=True)),
            "requests": sum(figures["interval_requests"]),
            "company_requests": sum(sum(part["interval_requests"]) for part in company),
            "open_seconds": self._open_seconds,
            "seconds": self._seconds,
            "interval_seconds": self._interval_seconds,
            "generator_cpu_seconds": self._cpu_seconds,
        }

    def close(self) -> None:
        """Close the connections and end the threads."""
        for worker in (*self._workers, *self._company):
            worker.close()
        self._pool.shutdown()

    def _each(self, phase: Callable[..., None], *times: int) -> None:
        """Run a phase in all threads; an interrupt of the caller ends it early."""
        workers = (*self._workers, *self._company)
        futures = [self._pool.submit(phase, worker, *times) for worker in workers]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for worker in workers:
                worker.cancel()
            wait(futures)
            raise


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
