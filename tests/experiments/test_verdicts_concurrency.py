"""The verdict rules of the experiments on processes, threads and pools, on made-up figures.

Refutations are provoked in earnest as well: a lock that locks nothing, a queue that doubles, a
clock that goes wrong.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from typing import Any

import pytest

from bench.experiments.lab import EFFORTS, Lab
from bench.experiments.processes import zombies
from bench.experiments.processes.isolation import seen_after
from bench.experiments.sharing import lock_cost, producers, queues, race
from bench.experiments.switching import four_ways, pools, scheduling, switch
from bench.experiments.threads import deadlock, event, gil_cpu, handover, semaphore, timer
from reports.experiments.finding import Row
from tests.experiments.made_up import Figures, judged, one_figure, verdict

SERIAL, CONCURRENT = lock_cost.SERIAL, lock_cost.CONCURRENT
HOP = queues.HOP
EACH, ONE, EARLY = (
    f"2 to 2 threads, {end}" for end in (producers.EACH, producers.ONE, producers.EARLY)
)
GAIN, OFF, THREADS = gil_cpu.GAIN, gil_cpu.COLLECTOR_OFF, gil_cpu.THREADS
SHORT_MEAN, LONG_MEAN = "mean of the short", "mean of the long"
ENDS = "finishes after the main line"
LOCKED = deadlock.LOCKED
TOO_OFTEN = (f"threading.BoundedSemaphore, {semaphore.EXTRA}", "is refused")

CASES = [
    *judged(
        "creation",
        one_figure("start and join", {"thread": 1, "process, fork": 20}),
        ("refuted", one_figure("start and join", {"process, fork": 3})),
        ("untold", one_figure("start and join", {"process, fork": (3, 20)})),
    ),
    *judged(
        "first-word",
        one_figure("the main line is first", {"process": 1, "thread": 0}),
        ("refuted", one_figure("the main line is first", {"process": 0.5})),
        ("refuted", one_figure("the main line is first", {"thread": 0.5})),
        ("untold", one_figure("the main line is first", {"thread": (0, 0.3)})),
    ),
    *judged(
        "join",
        one_figure(
            "in units",
            {
                "processes, started together": 3.1,
                "processes, one by one": 6.2,
                "threads, started together": 3.01,
                "threads, one by one": 6.02,
            },
        ),
        ("refuted", one_figure("in units", {"processes, started together": 6})),
        ("refuted", one_figure("in units", {"threads, one by one": 3})),
        ("untold", one_figure("in units", {"threads, started together": (3, 5)})),
    ),
    *judged(
        "isolation",
        one_figure(
            "the change is seen", {"process": 0, "os.fork": 0, "thread": 1, "asyncio task": 1}
        ),
        ("refuted", one_figure("the change is seen", {"process": 1})),
        ("refuted", one_figure("the change is seen", {"thread": (0, 1)})),
        ("refuted", one_figure("the change is seen", {"interpreter": 1})),
        ("holds", one_figure("the change is seen", {"interpreter": 0})),
    ),
    *judged(
        "zombies",
        {
            ("forked, nobody waits", "zombies"): 5,
            ("forked, waited for", "zombies"): 0,
            ("multiprocessing, asked for its children", "zombies"): 0,
            ("orphan", "adopted by process 1"): 1,
            ("process, daemon", ENDS): 0,
            ("process, no daemon", ENDS): 1,
            ("thread, daemon", ENDS): 0,
            ("thread, no daemon", ENDS): 1,
        },
        ("refuted", {("forked, nobody waits", "zombies"): 0}),
        ("refuted", {("orphan", "adopted by process 1"): 0}),
        ("refuted", {("thread, daemon", ENDS): 1}),
    ),
    *judged(
        "race",
        {
            **one_figure("sold of 2", {f"{who}, no lock": 8 for who in ("processes", "threads")}),
            **one_figure("sold of 2", {f"{who}, a lock": 2 for who in ("processes", "threads")}),
            **one_figure(race.LEFT, {f"{who}, a lock": 0 for who in ("processes", "threads")}),
        },
        ("refuted", {("threads, a lock", race.LEFT): (0, 1)}),
        ("refuted", {("processes, no lock", "sold of 2"): 2}),
        ("untold", {("processes, no lock", "sold of 2"): (2, 4)}),
    ),
    *judged(
        "lock-cost",
        {("8 workers", SERIAL): 8, ("8 workers", CONCURRENT): 1.1, ("1 worker", SERIAL): 1},
        ("refuted", {("8 workers", SERIAL): 1.1}),
        ("untold", {("8 workers", CONCURRENT): (1, 3)}),
    ),
    *judged(
        "queues",
        {
            **one_figure(HOP, {"multiprocessing.SimpleQueue": 12, "multiprocessing.Pipe": 10}),
            ("queue.Queue", queues.FIRST): 1,
            ("queue.LifoQueue", queues.LAST): 1,
            ("queue.PriorityQueue", queues.LEAST): 1,
            ("multiprocessing.Queue", queues.FIRST): 1,
        },
        ("refuted", {("queue.LifoQueue", queues.LAST): 0}),
        ("refuted", one_figure(HOP, {"multiprocessing.SimpleQueue": 5})),
        ("untold", one_figure(HOP, {"multiprocessing.SimpleQueue": (5, 15)})),
    ),
    *judged(
        "producers",
        {
            **{(EACH, figure): 0 for figure in ("lost", "doubled", "waiting")},
            (ONE, "lost"): 0,
            (ONE, "waiting"): 1,
            (EARLY, "lost"): 50,
        },
        ("refuted", {(EACH, "lost"): (0, 1)}),
        ("refuted", {(EACH, "doubled"): 1}),
        ("refuted", {(ONE, "waiting"): 0}),
        ("untold", {(EARLY, "lost"): (0, 50)}),
    ),
    *judged(
        "gil-cpu",
        {
            (gil_cpu.THIS, GAIN): 1.9,
            ("3.13", GAIN): 1.9,
            ("free", GAIN): 1.0,
            (gil_cpu.THIS, "has a GIL"): 1,
            ("3.13", "has a GIL"): 1,
            ("free", "has a GIL"): 0,
            **{(case, gil_cpu.CORES): 1.9 for case in (gil_cpu.THIS, "3.13", "free")},
            (gil_cpu.THIS, THREADS): 2,
            (gil_cpu.THIS, OFF): 2,
        },
        ("refuted", {("3.13", GAIN): 1.0}),
        ("refuted", {(gil_cpu.THIS, OFF): 1}),
        ("untold", {(gil_cpu.THIS, GAIN): (1.0, 1.9)}),
        ("untold", {("3.13", GAIN): 0.9, ("3.13", gil_cpu.CORES): 0.6}),
    ),
    *judged(
        "gil-io",
        {("1,000 waits of 1 s", "processes / threads"): 3.9},
        ("refuted", {("1,000 waits of 1 s", "processes / threads"): 1.0}),
        ("untold", {("1,000 waits of 1 s", "processes / threads"): (1.0, 3.9)}),
    ),
    *judged(
        "handover",
        one_figure(handover.P50, {"interval 5 ms": 0.005, "interval 50 ms": 0.05}),
        ("refuted", one_figure(handover.P50, {"interval 50 ms": 0.001})),
        ("untold", one_figure(handover.P50, {"interval 5 ms": (0.005, 0.04)})),
    ),
    *judged(
        "deadlock",
        one_figure(
            LOCKED,
            {
                deadlock.TWO_ORDERS: 1,
                deadlock.TWICE: 1,
                deadlock.ONE_ORDER: 0,
                deadlock.ONE_RLOCK: 0,
                deadlock.TWICE_RLOCK: 0,
            },
        ),
        ("refuted", one_figure(LOCKED, {deadlock.TWO_ORDERS: 0})),
        ("refuted", one_figure(LOCKED, {deadlock.ONE_ORDER: 0.1})),
        ("untold", one_figure(LOCKED, {deadlock.TWO_ORDERS: (0.2, 1)})),
    ),
    *judged(
        "semaphore",
        {**one_figure(semaphore.MOST, dict.fromkeys(semaphore.WAYS, 5)), TOO_OFTEN: 1},
        ("refuted", one_figure(semaphore.MOST, {"multiprocessing.Semaphore": 6})),
        ("refuted", {TOO_OFTEN: 0}),
        ("untold", one_figure(semaphore.MOST, {"threading.Semaphore": (4, 6)})),
    ),
    *judged(
        "event",
        one_figure(event.FIGURE, {"asyncio task": 1e-5, "thread": 1e-4, "process": 2e-4}),
        ("refuted", one_figure(event.FIGURE, {"process": 0.005})),
        ("untold", one_figure(event.FIGURE, {"thread": (1e-4, 0.002)})),
    ),
    *judged(
        "timer",
        {
            (case, figure): 0.0003
            for case in (timer.THREADING, timer.ASYNCIO)
            for figure in (timer.LATE, timer.EARLIEST)
        },
        ("refuted", {(timer.THREADING, timer.EARLIEST): -0.01}),
        ("refuted", {(timer.ASYNCIO, timer.LATE): 0.02}),
        ("untold", {(timer.ASYNCIO, timer.LATE): (0.001, 0.02)}),
    ),
    *judged(
        "pools",
        {
            (name, figure): 1
            for name in pools.POOLS
            for figure in (pools.AS_THEY_COME, pools.IN_ORDER, pools.RAISES)
        },
        ("refuted", {("multiprocessing.Pool", pools.AS_THEY_COME): 0}),
        ("refuted", {("ThreadPoolExecutor", pools.IN_ORDER): (0, 1)}),
    ),
    *judged(
        "switch",
        {
            ("yield", switch.FIGURE): 1,
            ("thread", switch.FIGURE): 500,
            (switch.SERIAL, switch.TOGETHER): 1.26,
            (switch.YIELDING, switch.TOGETHER): 2.27,
        },
        ("refuted", {(switch.YIELDING, switch.TOGETHER): 1.26}),
        ("refuted", {("thread", switch.FIGURE): 2}),
        ("untold", {(switch.YIELDING, switch.TOGETHER): (1.26, 2.27)}),
    ),
    *judged(
        "scheduling",
        {
            (scheduling.FIRST_COME, SHORT_MEAN): 30,
            (scheduling.SHORTEST, SHORT_MEAN): 10,
            (scheduling.FEEDBACK, SHORT_MEAN): 12,
            (scheduling.FIRST_COME, LONG_MEAN): 20,
            (scheduling.SHORTEST, LONG_MEAN): 50,
        },
        ("refuted", {(scheduling.SHORTEST, SHORT_MEAN): 30}),
        ("refuted", {(scheduling.SHORTEST, LONG_MEAN): 20}),
        ("untold", {(scheduling.FEEDBACK, SHORT_MEAN): (12, 35)}),
    ),
    *judged(
        "four-ways",
        {
            (four_ways.SYNC_BLOCKING, four_ways.ELAPSED): 100,
            (four_ways.ASYNC_NOT, four_ways.ELAPSED): 1,
            (four_ways.ASYNC_NOT, four_ways.CPU): 1,
            (four_ways.ASYNC_BLOCKING, four_ways.CPU): 10,
            (four_ways.SYNC_NOT, four_ways.CPU): 100,
        },
        ("refuted", {(four_ways.ASYNC_BLOCKING, four_ways.CPU): 0.5}),
        ("refuted", {(four_ways.ASYNC_NOT, four_ways.ELAPSED): 100}),
        ("untold", {(four_ways.ASYNC_BLOCKING, four_ways.CPU): (0.5, 10)}),
    ),
]


@pytest.mark.parametrize(("name", "figures", "expected"), CASES)
def test_a_verdict_follows_from_the_figures(name: str, figures: Figures, expected: str) -> None:
    assert verdict(name, figures) == expected


# Refutations that are provoked.


def test_a_lock_that_locks_nothing_refutes_that_a_lock_makes_it_exact() -> None:
    sold = race.tickets(race.in_threads, contextlib.nullcontext())
    assert sold > race.TICKETS
    holds = CASES_BY_ID["race-holds"]
    assert verdict("race", {**holds, ("threads, a lock", "sold of 2"): sold}) == "refuted"


class Doubling(queue.Queue[Any]):
    """A queue that puts each item twice, but a pill once."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        for _ in range(1 if item == producers.PILL else 2):
            super().put(item, block, timeout)


class Losing(queue.Queue[Any]):
    """A queue that forgets every third item."""

    _count = itertools.count(1)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item == producers.PILL or next(self._count) % 3:
            super().put(item, block, timeout)


@pytest.mark.parametrize(("kind", "figure"), [(Doubling, "doubled"), (Losing, "lost")])
def test_a_queue_that_doubles_or_loses_refutes(kind: type[queue.Queue[Any]], figure: str) -> None:
    threads = producers.THREADS._replace(queue=kind)
    found = producers.trade(threads, 2, 2, 60, producers.EACH)
    assert getattr(found, figure) > 0
    rows = {(EACH, name): getattr(found, name) for name in ("lost", "doubled", "waiting")}
    assert verdict("producers", {**CASES_BY_ID["producers-holds"], **rows}) == "refuted"


def test_a_clock_that_goes_too_slow_makes_timers_early_and_refutes() -> None:
    ticks = itertools.count()
    late = timer.by_threading(3, lambda: next(ticks) * 1e-6)
    rows: list[Row] = []
    lab = Lab("timer", EFFORTS["least"], lambda _, row: rows.append(Row(**row)))
    timer._report(lab, timer.THREADING, late)
    figures = {(row.case, row.figure): row.value for row in rows}
    assert verdict("timer", {**CASES_BY_ID["timer-holds"], **figures}) == "refuted"


def test_a_semaphore_that_lets_one_more_in_refutes() -> None:
    loose = threading.Semaphore(semaphore.PLACES + 1)
    most = semaphore.crowd(threading.Thread, loose, 0.005)
    figures = {("threading.Semaphore", semaphore.MOST): most}
    assert verdict("semaphore", {**CASES_BY_ID["semaphore-holds"], **figures}) == "refuted"


def test_whoever_asks_after_a_parent_that_is_gone_is_answered() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert zombies.parent_after(child) == os.getppid()


def test_a_change_that_is_made_here_is_seen_and_undone() -> None:
    import colorsys

    before = colorsys.ONE_THIRD
    assert seen_after(lambda: setattr(colorsys, "ONE_THIRD", "changed"))
    assert before == colorsys.ONE_THIRD
    assert not seen_after(lambda: None)


CASES_BY_ID: dict[str, Figures] = {case.id: case.values[1] for case in CASES}  # type: ignore[attr-defined]  # of a ParameterSet, which is no public type


# Schedulers, without a clock.


def test_each_discipline_does_all_jobs_whole_and_in_its_order() -> None:
    jobs = scheduling.load(shorts=4, longs=2)
    orders = {}
    for name, discipline in scheduling.DISCIPLINES.items():
        slices = list(discipline(scheduling.Arrivals(jobs, lambda: 1e9)))  # all have come
        assert sum(units for _, units, _ in slices) == sum(job.units for job in jobs)
        orders[name] = [job.kind for job, _, left in slices if not left]
    short, long = [scheduling.SHORT] * 4, [scheduling.LONG] * 2
    assert sorted(orders[scheduling.FIRST_COME], reverse=True) == [*short, *long]
    assert orders[scheduling.SHORTEST] == orders[scheduling.FEEDBACK] == [*short, *long]
    assert orders[scheduling.FIRST_COME] == [long[0], long[0], short[0], *short[1:]]


def test_a_scheduler_with_nothing_to_do_waits_for_what_is_to_come() -> None:
    jobs = scheduling.load(shorts=3, longs=1)
    for discipline in scheduling.DISCIPLINES.values():
        # A clock that stands still: only those who block for the next one ever see it.
        assert sum(not left for _, _, left in discipline(scheduling.Arrivals(jobs, lambda: 0))) == 4
