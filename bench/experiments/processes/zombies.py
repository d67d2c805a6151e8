"""zombies: what stays of a child until someone waits, who adopts an orphan, what a daemon does."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, exactly

CHILDREN = 5
PATIENCE_SECONDS = 10.0
FORK: Any = multiprocessing.get_context("fork")

ENDINGS = """
import sys, threading, time, multiprocessing
kind, daemon = sys.argv[1:]

def work():
    time.sleep({seconds})
    print("finished", flush=True)

maker = threading.Thread if kind == "thread" else multiprocessing.get_context("fork").Process
worker = maker(target=work, daemon=daemon == "daemon")
worker.start()
"""


def state_of(pid: int) -> str:
    """Return the letter that the kernel has for a process: Z is a zombie; empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def zombies(pids: list[int]) -> int:
    """Return how many of them are zombies."""
    return sum(state_of(pid) == "Z" for pid in pids)


def ended(pids: list[int]) -> None:
    """Wait until they have ended, without reaping them: PyPy has no waitid()."""
    while any(state_of(pid) not in ("Z", "") for pid in pids):
        time.sleep(0.001)


def forked() -> list[int]:
    """Fork children that end at once."""
    pids = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if not pid:
            os._exit(0)
        pids.append(pid)
    ended(pids)
    return pids


def started() -> list[int]:
    """Start processes of multiprocessing that end at once."""
    processes = [FORK.Process(target=os.getpid) for _ in range(CHILDREN)]
    for process in processes:
        process.start()
    pids = [process.pid for process in processes]
    ended(pids)  # start() itself reaps those that had ended before it
    return pids


def orphan_s_parent() -> int:
    """Return who is the parent of a process whose own parent has ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        parent = os.getpid()
        if not os.fork():
            os.write(writing, str(parent_after(parent)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)  # so that an orphan that dies in silence is no one to wait for
    told = os.read(reading, 20)
    os.close(reading)
    return int(told)


def parent_after(parent: int) -> int:
    """Return this process's parent once the one that it was born to has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.001)
    return os.getppid()


def finished(kind: str, daemon: str, seconds: float) -> bool:
    """Return whether a worker finishes what it does when the program comes to its end."""
    program = ENDINGS.replace("{seconds}", str(seconds))
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, kind, daemon],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return "finished" in done.stdout


def measure(lab: Lab) -> None:
    """Count zombies, look for the adopter, and end programs with daemons."""
    pids = forked()
    lab.report("forked, nobody waits", "zombies", "count", zombies(pids))
    for pid in pids:
        os.waitpid(pid, 0)
    lab.report("forked, waited for", "zombies", "count", zombies(pids))
    pids = started()
    multiprocessing.active_children()
    lab.report("multiprocessing, asked for its children", "zombies", "count", zombies(pids))
    adopter = orphan_s_parent()
    lab.report("orphan", "adopted by process 1", "yes", adopter == 1)
    if adopter != 1:
        name = Path(f"/proc/{adopter}/comm").read_text().strip()
        lab.note(f"orphans here are adopted by {name}, a subreaper (prctl), not by process 1")
    for kind in ("process", "thread"):
        for daemon in ("daemon", "no daemon"):
            found = finished(kind, daemon, lab.pick(0.05, 0.2, 0.2, 0.2))
            lab.report(f"{kind}, {daemon}", "finishes after the main line", "yes", found)


def judge(found: Found) -> Verdict:
    """Zombies stay until they are waited for, process 1 adopts, daemons are cut off."""
    expected = (
        ("forked, nobody waits", "zombies", CHILDREN),
        ("forked, waited for", "zombies", 0),
        ("multiprocessing, asked for its children", "zombies", 0),
        ("orphan", "adopted by process 1", 1),
        ("process, daemon", "finishes after the main line", 0),
        ("process, no daemon", "finishes after the main line", 1),
        ("thread, daemon", "finishes after the main line", 0),
        ("thread, no daemon", "finishes after the main line", 1),
    )
    return all_of(
        [
            exactly(found.of(case, figure), value, f"{case}: {figure}: {{}}")
            for case, figure, value in expected
        ]
    )
