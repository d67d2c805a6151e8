"""switch: what a switch costs, from a yield to a process; the course's two functions."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from typing import Any

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab, elapsed
from bench.experiments.rules import Verdict, all_of, at_least

FORK: Any = multiprocessing.get_context("fork")
FIGURE, TOGETHER = "a switch", "two functions"
SERIAL, YIELDING = "one after the other", "a yield after each addition"
TIMES = 200


def by_yield() -> None:
    """Switch to a generator and back, often: two switches each."""

    def generator() -> Iterator[None]:
        while True:
            yield

    step = generator().__next__
    for _ in range(TIMES):
        step()


def by_greenlet(greenlet: Any) -> None:
    """Switch to a greenlet and back, often."""
    main = greenlet.getcurrent()

    def other() -> None:
        while True:
            main.switch()

    switch = greenlet.greenlet(other).switch
    for _ in range(TIMES):
        switch()


def by_asyncio(loop: asyncio.AbstractEventLoop) -> None:
    """Let two tasks give way to each other."""

    async def give_way() -> None:
        for _ in range(TIMES):
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(give_way(), give_way())

    loop.run_until_complete(both())


def by_thread() -> None:
    """Let two threads wake each other in turns."""
    mine, theirs = threading.Semaphore(0), threading.Semaphore(0)

    def other() -> None:
        for _ in range(TIMES):
            theirs.acquire()
            mine.release()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(TIMES):
        theirs.release()
        mine.acquire()
    thread.join()


def echo(connection: Any) -> None:
    """Send back what comes, until an end comes."""
    while (data := connection.recv_bytes()) != b"end":
        connection.send_bytes(data)


def by_process(connection: Any) -> None:
    """Have another process wake this one, and this one that."""
    for _ in range(TIMES):
        connection.send_bytes(b".")
        connection.recv_bytes()


def additions(number: int) -> None:
    """Add, and do nothing else."""
    for each in range(number):
        each + 1


def additions_yielding(number: int) -> Iterator[None]:
    """Add, and give way after each addition."""
    for each in range(number):
        each + 1
        yield


def one_after_the_other(number: int) -> None:
    """Run the two functions serially."""
    additions(number)
    additions(number)


def in_turns(number: int) -> None:
    """Run the two functions in turns: the course's example of switching without waiting."""
    other = additions_yielding(number)
    for _ in additions_yielding(number):
        next(other)


def measure(lab: Lab) -> None:
    """Time each switch, then the two functions."""
    lab.time("yield", FIGURE, by_yield, per=2 * TIMES)
    if greenlet := lab.optional("greenlet"):
        lab.time("greenlet", FIGURE, lambda: by_greenlet(greenlet), per=2 * TIMES)
    with asyncio.Runner() as runner:
        lab.time("asyncio", FIGURE, lambda: by_asyncio(runner.get_loop()), per=2 * TIMES)
    lab.time("thread", FIGURE, by_thread, per=2 * TIMES)
    mine, theirs = FORK.Pipe()
    process = FORK.Process(target=echo, args=(theirs,))
    process.start()
    lab.time("process", FIGURE, lambda: by_process(mine), per=2 * TIMES)
    mine.send_bytes(b"end")
    process.join()
    number = lab.pick(10_000, 1_000_000, 3_000_000, 10_000_000)
    ways: dict[str, Callable[[int], None]] = {SERIAL: one_after_the_other, YIELDING: in_turns}
    for way, run in ways.items():
        taken = [elapsed(functools.partial(run, number)) for _ in range(lab.rounds)]
        lab.report(way, TOGETHER, "s", taken)


def judge(found: Found) -> Verdict:
    """Switching without waiting costs: the course has 1.8 times; a yield is far below a thread."""
    return all_of(
        [
            at_least(
                ratio(found.of(YIELDING, TOGETHER), found.of(SERIAL, TOGETHER)),
                1.1,
                "in turns the two functions take {} times as long (the course: 1.8)",
            ),
            at_least(
                ratio(found.of("thread"), found.of("yield")),
                10,
                "a thread's switch costs {} of a generator's",
            ),
        ]
    )
