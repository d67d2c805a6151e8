"""queues: what a hop costs, in what order things come out, and what full and empty ones do."""

from __future__ import annotations

import asyncio
import collections
import multiprocessing
import queue
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly

FORK: Any = multiprocessing.get_context("fork")
HOP, FIRST, LAST, LEAST = "a hop", "first in, first out", "last in, first out", "least first"
FULL, EMPTY = "raises when full", "raises when empty"
HOPS = 100
PUT = (2, 3, 1)
ORDERS = {FIRST: [2, 3, 1], LAST: [1, 3, 2], LEAST: [1, 2, 3]}


class Way(NamedTuple):
    """How something is put in and taken out; None: it has no bound, or would wait."""

    put: Callable[[Any], object]
    get: Callable[[], Any]
    put_to_full: Callable[[], object] | None
    get_from_empty: Callable[[], object] | None


def of_queue(kind: Callable[..., Any]) -> Way:
    """Return the way of what has the methods of queue.Queue."""
    one, full = kind(), kind(1)
    full.put_nowait(1) if isinstance(full, asyncio.Queue) else full.put(1)
    if isinstance(one, asyncio.Queue):
        return Way(one.put_nowait, one.get_nowait, lambda: full.put_nowait(2), kind().get_nowait)
    return Way(one.put, one.get, lambda: full.put_nowait(2), kind().get_nowait)


def of_simple_queue() -> Way:
    """Return the way of queue.SimpleQueue, which has no bound."""
    one = queue.SimpleQueue[Any]()
    return Way(one.put, one.get, None, queue.SimpleQueue[Any]().get_nowait)


def of_deque() -> Way:
    """Return the way of a deque; a full one drops what is at its other end and says nothing."""
    one, full = collections.deque[Any](), collections.deque([1], maxlen=1)
    return Way(one.append, one.popleft, lambda: full.append(2), collections.deque[Any]().popleft)


def of_process_simple_queue() -> Way:
    """Return the way of multiprocessing's SimpleQueue: a pipe, and a lock at either end."""
    one = FORK.SimpleQueue()
    return Way(one.put, one.get, None, None)


def of_pipe() -> Way:
    """Return the way of a pipe of multiprocessing, without a lock."""
    receiving, sending = FORK.Pipe(duplex=False)
    return Way(sending.send, receiving.recv, None, None)


QUEUES: dict[str, Callable[[], Way]] = {
    "deque": of_deque,
    "queue.SimpleQueue": of_simple_queue,
    "queue.Queue": lambda: of_queue(queue.Queue),
    "queue.LifoQueue": lambda: of_queue(queue.LifoQueue),
    "queue.PriorityQueue": lambda: of_queue(queue.PriorityQueue),
    "asyncio.Queue": lambda: of_queue(asyncio.Queue),
    "multiprocessing.Pipe": of_pipe,
    "multiprocessing.SimpleQueue": of_process_simple_queue,
    "multiprocessing.Queue": lambda: of_queue(FORK.Queue),
}


def hops(way: Way) -> None:
    """Put something in and take it out, often."""
    put, get = way.put, way.get
    for number in range(HOPS):
        put(number)
        get()


def order_of(way: Way) -> list[int]:
    """Return in what order three things come out."""
    for number in PUT:
        way.put(number)
    return [way.get() for _ in PUT]


def raises(act: Callable[[], object]) -> bool:
    """Return whether an act is refused."""
    try:
        act()
    except (queue.Full, queue.Empty, asyncio.QueueFull, asyncio.QueueEmpty, IndexError):
        return True
    return False


def measure(lab: Lab) -> None:
    """Time the hop of each, put three things in, fill and empty it."""
    for name, make in QUEUES.items():
        way = make()
        lab.time(name, HOP, lambda at=way: hops(at), per=HOPS)
        order = order_of(way)
        for figure, expected in ORDERS.items():
            lab.report(name, figure, "yes", order == expected)
        if way.put_to_full:
            lab.report(name, FULL, "yes", raises(way.put_to_full))
        if way.get_from_empty:
            lab.report(name, EMPTY, "yes", raises(way.get_from_empty))


def judge(found: Found) -> Verdict:
    """Each has the order of its name; a queue between processes costs what a pipe does and more."""
    orders = {
        "queue.Queue": FIRST,
        "queue.LifoQueue": LAST,
        "queue.PriorityQueue": LEAST,
        "multiprocessing.Queue": FIRST,
    }
    simple = ratio(found.of("multiprocessing.SimpleQueue"), found.of("multiprocessing.Pipe"))
    return all_of(
        [
            *(
                exactly(found.of(name, order), 1, f"{name}, {order}: {{}}")
                for name, order in orders.items()
            ),
            at_least(simple, 0.9, "multiprocessing's SimpleQueue costs {} of a bare pipe"),
        ]
    )
