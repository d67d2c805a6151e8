"""command: what a command costs that a server runs for a request, by the way in which it is run."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_least

COMMAND = "/bin/true"
FIGURE = "a command"
SHELL, DIRECT = "subprocess, by the shell", "subprocess, directly"
AT_ONCE = 4


def fork_and_exec() -> None:
    """Fork, and exec in the child, by hand."""
    child = os.fork()
    if not child:
        os.execv(COMMAND, [COMMAND])  # noqa: S606  # no shell is the point
    os.waitpid(child, 0)


def posix_spawn() -> None:
    """Have the C library do both, without a copy of the page tables."""
    os.waitpid(os.posix_spawn(COMMAND, [COMMAND], os.environ), 0)


def directly() -> None:
    """Run it as a list of words."""
    subprocess.run([COMMAND], check=True, capture_output=True)


def by_the_shell() -> None:
    """Run it as a line of a shell, as the course does; with two commands, so that it stays."""
    subprocess.run(f"{COMMAND}; {COMMAND}", shell=True, check=True, capture_output=True)  # noqa: S602  # our own line


def by_the_shell_alone() -> None:
    """Run the shell for nothing: what it costs itself."""
    subprocess.run("exit 0", shell=True, check=True, capture_output=True)  # noqa: S602, S607  # likewise


class Kept:
    """A shell that is started once and asked for each command."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def run(self) -> None:
        """Have it run the command, and wait until it says so."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{COMMAND}; echo $?\n".encode())
        self._process.stdout.readline()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def measure(lab: Lab) -> None:
    """Time each way."""
    if hasattr(os, "posix_spawn"):
        lab.time("os.posix_spawn", FIGURE, posix_spawn)
    else:
        lab.note("this Python has no os.posix_spawn")
    lab.time("os.fork and exec", FIGURE, fork_and_exec)
    lab.time(DIRECT, FIGURE, directly)
    lab.time(SHELL, FIGURE, by_the_shell, per=2)
    lab.time("the shell itself", FIGURE, by_the_shell_alone)
    kept = Kept()
    lab.time("a shell that is kept", FIGURE, kept.run)
    kept.close()
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def several() -> None:
            for done in [pool.submit(directly) for _ in range(AT_ONCE)]:
                done.result()

        lab.time(f"subprocess, {AT_ONCE} at once", FIGURE, several, per=AT_ONCE)


def judge(found: Found) -> Verdict:
    """A process for each command: more than a hundred thread starts; the shell is a second one."""
    shell = ratio(found.of("the shell itself"), found.of("os.posix_spawn"))
    return at_least(
        shell,
        1.1,
        "running nothing by the shell takes {} times as long as a command spawned directly",
    )
