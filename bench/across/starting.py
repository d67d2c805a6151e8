"""Starts a host's part as a process, on this machine or wherever a prefix of words takes it.

The prefix is how a network namespace is entered, or empty. A Dask worker does the same on its own
machine (`bench.cluster`). The environment is cleaned: what a scheduler's worker sets for its own
sake, servers would inherit, and their memory would show it.
"""

from __future__ import annotations

__all__ = ["Prefixed", "Process", "begin", "environment"]

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from bench.across.meeting import HostError, Invitation
from bench.measure.launch import ROOT

OF_WORKERS = (
    "MALLOC_TRIM_THRESHOLD_",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
"""What Dask sets for its workers (distributed.yaml, nanny.environ), and whoever starts them may."""
END_SECONDS = 5.0


def environment() -> dict[str, str]:
    """Return this process's, without what a worker has for itself."""
    return {name: value for name, value in os.environ.items() if name not in OF_WORKERS}


class Process:
    """A part that was started here."""

    def __init__(self, invitation: Invitation, prefix: Sequence[str] = ()) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "bench.across.part"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is the conductor's
            text=True,
        )
        assert self._process.stdin is not None  # noqa: S101  # it was opened as a pipe
        try:
            self._process.stdin.write(json.dumps(invitation._asdict()) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which `trouble` will say

    @property
    def pid(self) -> int:
        """The process id of the part, or of what the prefix starts it in."""
        return self._process.pid

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self._process.wait()

    def trouble(self) -> str:
        """Return its last words when it has ended; empty while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        self._words.seek(0)
        lines = self._words.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process ended with {code}{': ' + lines[-1] if lines else ''}"

    def end(self) -> None:
        """Close its input, which ends it and what it started; by force when that takes long."""
        assert self._process.stdin is not None  # noqa: S101  # as above
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()


def begin(invitation: Invitation) -> Process:
    """Start a part on this machine."""
    return Process(invitation)


class Prefixed:
    """Hosts that are reached by words before a command: a `Starter`."""

    def __init__(self, prefixes: Mapping[str, Sequence[str]]) -> None:
        self._prefixes = prefixes

    def start(self, invitation: Invitation) -> Process:
        """Start a part on one of them; HostError when there is no such host."""
        if invitation.name not in self._prefixes:
            there = ", ".join(self._prefixes)
            raise HostError(f"there is no host {invitation.name}: there are {there}")
        return Process(invitation, self._prefixes[invitation.name])
