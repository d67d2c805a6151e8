"""creation: what it costs to start one that does nothing, and to wait for its end."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_most

FIGURE = "start and join"
MANY = 100


def nothing() -> None:
    """What is run."""


def bare_fork() -> None:
    """Fork and wait, without multiprocessing."""
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


def by(method: Literal["fork", "forkserver", "spawn"]) -> Callable[[], None]:
    """Return what starts and joins a process of multiprocessing.

    It runs a function of a module that every interpreter has: a process that is not forked imports
    what its target needs, and that would be measured with it.
    """
    context: Any = multiprocessing.get_context(method)  # its type has no Process

    def start_and_join() -> None:
        process = context.Process(target=os.getpid)
        process.start()
        process.join()

    return start_and_join


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Keep processes that are not forked from importing this program, as a small one would be."""
    main = sys.modules["__main__"]
    spec, main.__spec__ = main.__spec__, None
    file = main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        main.__spec__ = spec
        main.__file__ = file


def a_thread() -> None:
    """Start and join a thread."""
    thread = threading.Thread(target=nothing)
    thread.start()
    thread.join()


def generators() -> None:
    """Make and exhaust generators."""

    def generator() -> Iterator[None]:
        yield

    for _ in range(MANY):
        next(generator())


def tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Make tasks and await them, one after another."""

    async def task() -> None:
        pass

    async def start_and_join() -> None:
        for _ in range(MANY):
            await loop.create_task(task())

    loop.run_until_complete(start_and_join())


def greenlets(make: Callable[..., Any]) -> None:
    """Make greenlets and switch to them."""
    for _ in range(MANY):
        make(nothing).switch()


def interpreter_module() -> str:
    """Return where this Python keeps its interpreters; empty where it has none."""
    names = ("_interpreters", "_xxsubinterpreters")
    return next((name for name in names if find_spec(name)), "")


def an_interpreter() -> None:
    """Make an interpreter, run a line in it, and destroy it."""
    interpreters = import_module(interpreter_module())
    one = interpreters.create()
    interpreters.run_string(one, "pass")
    interpreters.destroy(one)


def measure(lab: Lab) -> None:
    """Time each of them."""
    lab.time("generator", FIGURE, generators, per=MANY, iterations=lab.pick(1, 10, 20, 20))
    with asyncio.Runner() as runner:
        lab.time("asyncio task", FIGURE, lambda: tasks(runner.get_loop()), per=MANY)
    if greenlet := lab.optional("greenlet"):
        lab.time("greenlet", FIGURE, lambda: greenlets(greenlet.greenlet), per=MANY)
    lab.time("thread", FIGURE, a_thread, iterations=lab.pick(1, 10, 20, 20))
    lab.time("os.fork", FIGURE, bare_fork)
    lab.time("process, fork", FIGURE, by("fork"))
    if interpreter_module():
        lab.time("interpreter", FIGURE, an_interpreter)
    else:
        lab.note("this Python has no interpreters beside the main one")
    with without_main():
        lab.time("process, forkserver", FIGURE, by("forkserver"))
        # 30 of them take 3 s: the smallest effort leaves them out.
        if not lab.pick(least=True, quick=False, standard=False, full=False):
            lab.time("process, spawn", FIGURE, by("spawn"))


def judge(found: Found) -> Verdict:
    """Far cheaper: at most a fifth."""
    cheaper = ratio(found.of("thread"), found.of("process, fork"))
    return at_most(cheaper, 0.2, "a thread costs {} of a forked process")
