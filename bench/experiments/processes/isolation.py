"""isolation: who sees a global that another has changed."""

from __future__ import annotations

import asyncio
import colorsys  # a small module with a global that nothing here needs
import multiprocessing
import os
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, exactly

CHANGE = "import colorsys; colorsys.ONE_THIRD = 'changed'"
FIGURE = "the change is seen"


def in_fork() -> None:
    """Change it in a forked process."""
    _joined(multiprocessing.get_context("fork").Process(target=exec, args=(CHANGE,)))


def in_bare_fork() -> None:
    """Change it in a process that multiprocessing knows nothing of."""
    if not (child := os.fork()):
        exec(CHANGE)  # noqa: S102  # the same line for all, and our own
        os._exit(0)
    os.waitpid(child, 0)


def in_thread() -> None:
    """Change it in a thread."""
    _joined(threading.Thread(target=exec, args=(CHANGE,)))


def in_task() -> None:
    """Change it in a task."""

    async def change() -> None:
        exec(CHANGE)  # noqa: S102  # likewise

    asyncio.run(change())


def in_interpreter() -> None:
    """Change it in another interpreter of this process."""
    interpreters = import_module(interpreter_module())
    one = interpreters.create()
    interpreters.run_string(one, CHANGE)
    interpreters.destroy(one)


def interpreter_module() -> str:
    """Return where this Python keeps its interpreters; empty where it has none."""
    return next((name for name in ("_interpreters", "_xxsubinterpreters") if find_spec(name)), "")


def _joined(worker: multiprocessing.process.BaseProcess | threading.Thread) -> None:
    worker.start()
    worker.join()


WAYS: dict[str, Callable[[], None]] = {
    "process": in_fork,
    "os.fork": in_bare_fork,
    "thread": in_thread,
    "asyncio task": in_task,
}


def seen_after(change: Callable[[], None]) -> bool:
    """Return whether a change made so is seen here, and undo it."""
    before = colorsys.ONE_THIRD
    try:
        change()
        return bool(before != colorsys.ONE_THIRD)
    finally:
        colorsys.ONE_THIRD = before  # type: ignore[misc]  # a constant, but for this experiment


def measure(lab: Lab) -> None:
    """Change it in each way, and look."""
    ways = dict(WAYS)
    if interpreter_module():
        ways["interpreter"] = in_interpreter
    else:
        lab.note("this Python has no interpreters beside the main one")
    for who, change in ways.items():
        lab.report(who, FIGURE, "yes", [seen_after(change) for _ in range(lab.rounds)])


def judge(found: Found) -> Verdict:
    """A process's change is not seen, nor an interpreter's; a thread's is."""
    expected = {"process": 0, "os.fork": 0, "thread": 1, "asyncio task": 1}
    if found.has("interpreter"):
        expected["interpreter"] = 0
    return all_of(
        [
            exactly(found.of(who), value, f"{who}, the change is seen: {{}}")
            for who, value in expected.items()
        ]
    )
