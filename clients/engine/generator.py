"""A load engine in a process of its own, as the conductor of a run sees it.

The engine must not share an interpreter with whoever conducts the run, and has CPUs of its own.
Its phases are those of `clients.engine.driver.Driver`; each call here sleeps in the read of a pipe
until the phase is over.
"""

from __future__ import annotations

__all__ = ["Generator", "GeneratorError"]

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from clients.load import AimedLoad
from reports.tally import Tally

EXIT_SECONDS = 2.0


class GeneratorError(RuntimeError):
    """The engine's process refused a phase or ended; the message has its last words."""

    exit_code = 3  # the machine's trouble, or ours


class Generator:
    """A context manager around the process; phases as in `clients.engine.driver.Driver`."""

    def __init__(self, cpus: Iterable[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clients.engine.agent", ",".join(map(str, cpus))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal is the conductor's to handle
        )

    @property
    def pid(self) -> int:
        """The process id of the engine."""
        return self._process.pid

    def open(self, load: AimedLoad) -> None:
        """Connect; returns when every connection is open or has failed."""
        self._call("open", dataclasses.asdict(load))

    def warm_up(self, seconds: float) -> None:
        """Load the server outside every figure; the engine then holds still."""
        self._call("warm_up", seconds)

    def measure(self, seconds: float, interval_seconds: float) -> None:
        """Load the server and count, with a time axis in steps of `interval_seconds`."""
        self._call("measure", seconds, interval_seconds)

    def drain(self, seconds: float) -> None:
        """Take the answers that are due, for at most `seconds`; connections stay open."""
        self._call("drain", seconds)

    def tally(self) -> Tally:
        """Return what the last window gave."""
        return Tally.from_raw(self._call("tally"))

    def close(self) -> None:
        """Close the connections; the process stays until the context ends."""
        self._call("close")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process: politely after good work, at once after an error."""
        if error is not None:
            self._process.kill()
        try:
            self._process.communicate(timeout=EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _call(self, *call: object) -> Any:
        assert self._process.stdin is not None  # noqa: S101  # for mypy: they are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(call) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.kill()
            _, words = self._process.communicate()
            raise GeneratorError(f"the load generator ended: {words.strip() or 'without a word'}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise GeneratorError(f"the load generator failed: {answer['error']}")
        return answer
