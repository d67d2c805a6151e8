"""Runs experiments, each in a process of its own, and keeps each finding when it is there.

The child has a session of its own. It is stopped when it takes too long, and whatever it leaves in
its session, be it by an experiment that locks up on purpose, is ended with it. Ctrl-C does the same
to the experiment under way; those before it are on the disk.
"""

from __future__ import annotations

__all__ = ["Asked", "Outcome", "conduct", "run_one"]

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

from bench.experiments.lab import EFFORTS
from bench.experiments.row import ASKED, Experiment
from bench.experiments.rules import Verdict, verdict_of
from bench.interpreters.named import OWN, Interpreter
from bench.measure import meter
from bench.measure.launch import ROOT
from bench.measure.machine import fingerprint
from reports.experiments.finding import Row
from reports.experiments.record import Finding

CHILD = ("-m", "bench.experiments.child")
LAST_LINES = 3
GONE_SECONDS = 2.0  # for what has been killed to be gone
LOOK_SECONDS = 0.05

Say = Callable[[str], None]


class Asked(NamedTuple):
    """How experiments are to be run."""

    effort: str
    python: Interpreter = OWN  # of the measured part


@dataclass(slots=True)
class Outcome:
    """What a child has told so far."""

    interpreter: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    benchmarks: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    done: float = 0.0  # seconds; 0: it has not come to its end

    def hear(self, line: bytes, say: Say) -> None:
        """Take in one line of a child."""
        ((kind, value),) = json.loads(line).items()
        match kind:
            case "row":
                self.rows.append(Row(**value))
            case "note":
                self.notes.append(value)
            case "benchmark":
                self.benchmarks.append(value)
            case "say":
                say(value)
            case _:
                setattr(self, kind, value)


def conduct(
    experiments: Sequence[Experiment],
    asked: Asked,
    say: Say,
    keep: Callable[[Finding, list[dict[str, Any]]], None],
) -> bool:
    """Run them one after another; `keep` is given each finding. Returns whether all were run."""
    whole = True
    for number, experiment in enumerate(experiments, 1):
        place = f"{number}/{len(experiments)} {experiment.name}"
        say(place)
        finding, benchmarks = run_one(experiment, asked, _after(place, say))
        keep(finding, benchmarks)
        whole = whole and not finding.failure
    return whole


def _after(place: str, say: Say) -> Say:
    """Return what says some words behind the place that they belong to."""
    return lambda words: say(f"{place}: {words}")


def run_one(experiment: Experiment, asked: Asked, say: Say) -> tuple[Finding, list[dict[str, Any]]]:
    """Run one; returns its finding, and pytest-benchmark's entries."""
    started = datetime.now(UTC)
    outcome = Outcome()
    with _child(experiment, asked) as (process, words):
        outcome.failure = _listen(process, outcome, EFFORTS[asked.effort].limit_seconds, say)
        if not outcome.done:
            outcome.failure = _ending(process, outcome.failure, words())
    verdict = (
        Verdict("untold", f"it did not come to its end: {outcome.failure.splitlines()[0]}")
        if outcome.failure
        else verdict_of(import_module(experiment.module).judge, outcome.rows)
    )
    finding = Finding(
        **{name: getattr(experiment, name) for name in ASKED},
        effort=asked.effort,
        started=started.isoformat(timespec="seconds"),
        seconds=(datetime.now(UTC) - started).total_seconds(),
        interpreter=outcome.interpreter,
        machine=fingerprint(),
        code=outcome.code,
        rows=outcome.rows,
        notes=outcome.notes,
        verdict=verdict.verdict,
        because=verdict.because,
        failure=outcome.failure,
    )
    return finding, outcome.benchmarks


@contextlib.contextmanager
def _child(
    experiment: Experiment, asked: Asked
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """Start a child; gives it and what returns its last words. Nothing of it is left afterwards."""
    # As a server's: without `site`, and with folders in which .pth files are not run. What measures
    # the suite itself starts servers by it, and has to know where it is installed. The folders of
    # the interpreter come first; then ours, for pytest-benchmark, which any can import.
    bare = ["-S"] if experiment.python == "any" else []
    path = os.pathsep.join(dict.fromkeys([str(ROOT), *asked.python.libraries, *OWN.libraries]))
    with tempfile.TemporaryFile() as errors:

        def last_words() -> str:
            errors.seek(0)
            lines = errors.read().decode("utf-8", "replace").strip().splitlines()
            return "\n  ".join(lines[-LAST_LINES:])

        process = subprocess.Popen(
            [asked.python.path, *bare, *CHILD, experiment.name, asked.effort],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **dict(asked.python.environment), "PYTHONPATH": path},
            start_new_session=True,
            bufsize=0,
        )
        try:
            yield process, last_words
        finally:
            _bury(process)


def _bury(process: subprocess.Popen[bytes]) -> None:
    """End all that is in the child's session, and wait until it is gone."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        for pid in {process.pid, *meter.running(process.pid)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        if not meter.running(process.pid) or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def _listen(process: subprocess.Popen[bytes], outcome: Outcome, limit: float, say: Say) -> str:
    """Take in what a child tells, until its end; return why it had to be stopped, if it had."""
    assert process.stdout is not None  # it was opened as a pipe
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + limit
    rest = b""
    while not outcome.done:
        # The end of the pipe would not do: a process that the child left behind may hold it open.
        ready = select.select([descriptor], [], [], LOOK_SECONDS)[0]
        data = os.read(descriptor, 65_536) if ready else b""
        if ready and not data:
            break
        if not ready and process.poll() is not None:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            outcome.hear(line, say)
        if time.monotonic() > deadline:
            return f"it was stopped after {limit:g} s"
    return outcome.failure


def _ending(process: subprocess.Popen[bytes], failure: str, words: str) -> str:
    """Return in words how a child ended that did not say that it was done."""
    # Its end of the pipe is closed a moment before it can be waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0 if failure else GONE_SECONDS)
    sentence = failure or f"its process ended with {process.returncode}"
    return "\n  ".join(filter(None, [sentence, words]))
