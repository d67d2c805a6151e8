"""gil-cpu: 10 jobs of additions, in processes and in threads, under every interpreter found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, between
from bench.interpreters.finding import found as interpreters_found

PROCESSES, THREADS, COLLECTOR_OFF = "processes", "threads", "threads, gc.disable()"
GAIN = "threads / processes"
CORES = "cores that the processes had"
FEWEST_CORES = 1.3
THIS = "this Python"
OLDEST = (3, 6)
NAMES = {"cpython": "CPython", "pypy": "PyPy"}

# Any Python 3 can run it, as it is started by each of them.
JOBS = """
import gc, json, multiprocessing, os, resource, sys, threading, time

def job(additions):
    total = 0
    for number in range(additions):
        total += number

def run(worker, additions):
    workers = [worker(target=job, args=(additions,)) for _ in range(10)]
    start = time.perf_counter()
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return time.perf_counter() - start

additions = int(sys.argv[1])
process = multiprocessing.get_context("fork").Process
found = {"processes": run(process, additions)}
used = resource.getrusage(resource.RUSAGE_CHILDREN)
found["cores"] = (used.ru_utime + used.ru_stime) / found["processes"]
found["threads"] = run(threading.Thread, additions)
gc.disable()
found["threads, gc.disable()"] = run(threading.Thread, additions)
found["gil"] = getattr(sys, "_is_gil_enabled", lambda: True)()
print(json.dumps(found))
"""


def additions(python: str, number: int) -> dict[str, float]:
    """Run the jobs under an interpreter; returns seconds by what ran them, and `gil`."""
    done = subprocess.run(
        [python, "-S", "-c", JOBS, str(number)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def pythons(lab: Lab) -> dict[str, str]:
    """Return interpreters by name, this one first; quick has the newest and a free one besides."""
    # To ask all that are found takes seconds, which the smallest effort has not.
    rows = lab.pick(list, _found, _found, _found)()
    able = [
        facts
        for facts in rows
        if _number(facts["version"]) >= OLDEST and facts["path"] != sys.executable
    ]
    newest = sorted(able, key=lambda facts: _number(facts["version"]), reverse=True)
    free = [facts for facts in newest if facts.get("gil") is False]
    few = [*free[:1], *(facts for facts in newest[:1] if facts not in free[:1])]
    chosen = lab.pick([], few, newest, newest)
    return {THIS: sys.executable, **{_name(facts): str(facts["path"]) for facts in chosen}}


def _found() -> list[dict[str, Any]]:
    return [row.facts for row in interpreters_found()]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("."))


def _name(facts: dict[str, object]) -> str:
    free = " free-threaded" if facts.get("gil") is False else ""
    kind = NAMES.get(str(facts["implementation"]), facts["implementation"])
    return f"{kind} {facts['version']}{free}"


def measure(lab: Lab) -> None:
    """Run the jobs in interleaved rounds, and take the ratio within each."""
    number = lab.pick(20_000, 1_000_000, 1_000_000, 10_000_000)
    chosen = pythons(lab)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for _ in range(lab.pick(1, 2, 3, 5)):
        for name, python in chosen.items():
            lab.say(name)
            found[name].append(additions(python, number))
    for name, rounds in found.items():
        lab.report(name, GAIN, "times", [each[THREADS] / each[PROCESSES] for each in rounds])
        for figure in (PROCESSES, THREADS, COLLECTOR_OFF):
            lab.report(name, figure, "s", [each[figure] for each in rounds])
        lab.report(name, CORES, "times", [each["cores"] for each in rounds])
        lab.report(name, "has a GIL", "yes", rounds[0]["gil"])


def judge(found: Found) -> Verdict:
    """With a GIL processes are faster (the course: by 1.56); the collector has no part in it."""
    parts = []
    for row in found.cases(GAIN):
        gil = found.of(row.case, "has a GIL").value
        cores = found.of(row.case, CORES)
        if gil and cores.low < FEWEST_CORES:
            sentence = f"{row.case}: the processes had but {cores.low:.2g} cores, and so no more"
            parts.append(Verdict("untold", f"{sentence} than threads have"))
        elif gil:
            parts.append(
                at_least(row, 1.2, f"{row.case}: threads take {{}} of the processes' time")
            )
    own = ratio(found.of(THIS, COLLECTOR_OFF), found.of(THIS, THREADS))
    parts.append(
        between(
            own,
            0.6,
            1.7,
            "without the garbage collector threads take {} of their time, so the GIL is not its",
        )
    )
    return all_of(parts)
