"""deadlock: two locks in two orders, in programs with a time limit of their own."""

from __future__ import annotations

import subprocess
import sys

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly

# It says "done", or faulthandler shows where its threads wait and ends it.
PROGRAM = """
import faulthandler, sys, threading, time
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
a, b = threading.Lock(), threading.Lock()
one = threading.RLock()

def take(first, second, pause):
    for _ in range(20 if pause else 2000):
        with first:
            if pause:
                time.sleep(0.001)
            with second:
                pass

def both(pairs, pause):
    threads = [threading.Thread(target=take, args=(*pair, pause), daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

{what}
print("done")
"""

TWO_ORDERS = "two locks, two orders"
HURRIED = "two locks, two orders, no pause"
ONE_ORDER = "two locks, one order"
ONE_RLOCK = "one RLock for both"
TWICE = "a Lock, taken twice"
TWICE_RLOCK = "an RLock, taken twice"
PROGRAMS = {
    TWO_ORDERS: "both([(a, b), (b, a)], True)",
    HURRIED: "both([(a, b), (b, a)], False)",
    ONE_ORDER: "both([(a, b), (a, b)], True)",
    ONE_RLOCK: "both([(one, one), (one, one)], True)",
    TWICE: "take(a, a, True)",
    TWICE_RLOCK: "take(one, one, True)",
}
LOCKED, SEEN = "locked up", "faulthandler shows the lines"


def run(what: str, times: int, limit_seconds: float) -> tuple[list[bool], list[bool]]:
    """Run a program so often at once; return of each if it locked up, and if that was seen."""
    program = PROGRAM.replace("{what}", what)
    running = [
        subprocess.Popen(
            [sys.executable, "-S", "-c", program, str(limit_seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(times)
    ]
    told = [process.communicate(timeout=30) for process in running]
    locked = ["done" not in out for out, _ in told]
    seen = ["Timeout" in err and "in take" in err for _, err in told]
    return locked, seen


def measure(lab: Lab) -> None:
    """Run each program a few times."""
    limit = lab.pick(0.5, 1.0, 1.5, 2.0)
    times = lab.pick(1, 3, 5, 10)
    for case, what in PROGRAMS.items():
        lab.say(case)
        locked, seen = run(what, times, limit)
        lab.report(case, LOCKED, "share", sum(locked) / times)
        if any(locked):
            lab.report(
                case, SEEN, "yes", [each for each, is_so in zip(seen, locked, strict=True) if is_so]
            )


def judge(found: Found) -> Verdict:
    """Two orders lock up, one order does not, and an RLock may be taken twice."""
    never = (ONE_ORDER, ONE_RLOCK, TWICE_RLOCK)
    return all_of(
        [
            at_least(found.of(TWO_ORDERS, LOCKED), 0.5, f"{TWO_ORDERS}: {{}} of the runs lock up"),
            exactly(found.of(TWICE, LOCKED), 1, f"{TWICE}: {{}} of the runs lock up"),
            *(exactly(found.of(case, LOCKED), 0, f"{case}: {{}} lock up") for case in never),
        ]
    )
