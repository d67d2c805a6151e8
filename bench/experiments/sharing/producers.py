"""producers: n producers, m consumers: nothing lost or doubled, and how consumers learn the end."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly

FORK: Any = multiprocessing.get_context("fork")
PILL = -1
LONG_SECONDS = 20.0  # for those that have a pill each, on a machine that is busy
PATIENCE_SECONDS = 0.3  # after which a consumer is taken to wait for ever
EACH, ONE, EARLY, JOINABLE = "a pill each", "one pill", "pills before the end", "JoinableQueue"


class Kind(NamedTuple):
    """What works, and what lies between."""

    worker: Callable[..., Any]
    queue: Callable[[], Any]
    joinable: Callable[[], Any]


PROCESSES = Kind(FORK.Process, FORK.Queue, FORK.JoinableQueue)
THREADS = Kind(threading.Thread, queue.Queue, queue.Queue)


class Trade(NamedTuple):
    """What came of it."""

    lost: int
    doubled: int
    waiting: int  # consumers that nobody told the end
    seconds: float


def produce(between: Any, items: Sequence[int]) -> None:
    """Put some items."""
    for item in items:
        between.put(item)


def consume(between: Any, counts: Any, *, tell: bool) -> None:
    """Take items until a pill comes, and count each; `tell` says when each was dealt with."""
    while (item := between.get()) != PILL:
        counts[item] += 1
        if tell:
            between.task_done()


def trade(kind: Kind, producers: int, consumers: int, items: int, ending: str) -> Trade:
    """Let them trade, and see what has come of it."""
    between = (kind.joinable if ending == JOINABLE else kind.queue)()
    counts = FORK.Array("i", items, lock=False)
    tell = ending == JOINABLE
    takers = [
        kind.worker(target=consume, args=(between, counts), kwargs={"tell": tell}, daemon=True)
        for _ in range(consumers)
    ]
    start = time.perf_counter()
    for taker in takers:
        taker.start()
    shares = [range(number, items, producers) for number in range(producers)]
    if ending == EARLY:
        # The first has ended and thinks that all have.
        _run(kind, between, shares[:1])
        _pills(between, consumers)
        _join(takers)
        _run(kind, between, shares[1:])
    else:
        _run(kind, between, shares)
        if ending == JOINABLE:
            between.join()
        else:
            _pills(between, consumers if ending == EACH else 1)
            if ending == EACH:
                _join(takers, LONG_SECONDS)
    seconds = time.perf_counter() - start
    # Those of a JoinableQueue are daemons and end with the program: nobody tells them.
    waiting = 0 if ending == JOINABLE else _join(takers)
    lost, doubled = sum(count == 0 for count in counts), sum(count > 1 for count in counts)
    _pills(between, consumers)  # for those that wait: nothing is left running
    _join(takers)
    if ending == EARLY and kind is PROCESSES:
        between.cancel_join_thread()
    return Trade(lost, doubled, waiting, seconds)


def _run(kind: Kind, between: Any, shares: Sequence[Sequence[int]]) -> None:
    makers = [kind.worker(target=produce, args=(between, share)) for share in shares]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()


def _pills(between: Any, number: int) -> None:
    for _ in range(number):
        between.put(PILL)


def _join(takers: Sequence[Any], patience_seconds: float = PATIENCE_SECONDS) -> int:
    """Wait for the consumers, but not for ever; return how many still wait for something."""
    deadline = time.monotonic() + patience_seconds
    for taker in takers:
        taker.join(max(0.0, deadline - time.monotonic()))
    return sum(taker.is_alive() for taker in takers)


NUMBERS = ((1, 1), (2, 2), (4, 2), (1, 4), (4, 4), (8, 8))
"""Of producers and consumers."""


def measure(lab: Lab) -> None:
    """Trade in several numbers, then with each ending."""
    items = lab.pick(100, 1_000, 5_000, 20_000)
    for name, kind in {"processes": PROCESSES, "threads": THREADS}.items():
        for numbers in NUMBERS[lab.pick(1, 0, 0, 0) : lab.pick(2, 3, 5, 6)]:
            trades = [trade(kind, *numbers, items, EACH) for _ in range(lab.rounds)]
            case = f"{numbers[0]} to {numbers[1]} {name}, {EACH}"
            _report(lab, case, trades)
            lab.report(case, "items", "/s", [items / each.seconds for each in trades])
        for ending in (JOINABLE, ONE, EARLY):
            _report(lab, f"2 to 2 {name}, {ending}", [trade(kind, 2, 2, items, ending)])


def _report(lab: Lab, case: str, trades: Sequence[Trade]) -> None:
    for figure in ("lost", "doubled", "waiting"):
        lab.report(case, figure, "count", [getattr(each, figure) for each in trades])


def judge(found: Found) -> Verdict:
    """A pill for each and all is well; one for all leaves one waiting; early ones lose the rest."""
    parts = []
    for row in found.cases("lost"):
        case = row.case
        if case.endswith((EACH, JOINABLE)):
            parts.append(exactly(row, 0, f"{case}: {{}} lost"))
            parts.append(exactly(found.of(case, "doubled"), 0, f"{case}: {{}} doubled"))
        if case.endswith(EACH):
            parts.append(exactly(found.of(case, "waiting"), 0, f"{case}: {{}} wait for ever"))
        if case.endswith(ONE):
            waiting = found.of(case, "waiting")
            parts.append(at_least(waiting, 1, f"{case}: {{}} wait for ever"))
        if case.endswith(EARLY):
            parts.append(at_least(row, 1, f"{case}: {{}} lost"))
    return all_of(parts)
