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
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

from clients.load import AimedLoad
from reports.tally import Tally

EXIT_SECONDS = 2.0


class GeneratorError(RuntimeError):
    """The engine's process refused a phase or ended; the message has its last words."""

    exit_code = 3  # the machine's trouble, or ours


HOLDERS_LOOK_SECONDS = 0.002
HELD: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "errors": lambda parts: {kind: sum(part[kind] for part in parts) for kind in parts[0]},
    "connecting": lambda parts: [pair for part in parts for pair in part],
    "connect_retries": sum,
    "idle_served": sum,
}
"""The figures of a tally that those who only hold connections have part in, and how they add up."""


class Agent:
    """A process of the engine, and the lines that are exchanged with it."""

    def __init__(self, cpus: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clients.engine.agent", cpus],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal is the conductor's to handle
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def tell(self, *call: object) -> None:
        """Begin a phase; GeneratorError when there is nobody to do it."""
        assert self._process.stdin is not None  # noqa: S101  # for mypy: it is a pipe
        try:
            self._process.stdin.write(json.dumps(call) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._raise_last_words()

    def answer(self) -> Any:
        """Sleep until the phase is over, and return its result; GeneratorError."""
        assert self._process.stdout is not None  # noqa: S101  # for mypy: it is a pipe
        line = self._process.stdout.readline()
        if not line:
            self._raise_last_words()
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise GeneratorError(f"the load generator failed: {answer['error']}")
        return answer

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> None:
        """End it by the end of its input, or by force when that takes too long."""
        try:
            self._process.communicate(timeout=EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _raise_last_words(self) -> NoReturn:
        self._process.kill()
        _, words = self._process.communicate()
        raise GeneratorError(f"the load generator ended: {words.strip() or 'without a word'}")


class Generator:
    """A context manager around the process; phases as in `clients.engine.driver.Driver`.

    A load of several `engine_processes` gets further ones when it is opened. They open their idle
    connections at the same time as the first, sleep while it measures, and look at them afterwards.
    """

    def __init__(self, cpus: Iterable[int]) -> None:
        self._cpus = ",".join(map(str, cpus))
        self._first = Agent(self._cpus)
        self._holders: list[Agent] = []
        self._open_seconds = 0.0

    @property
    def pid(self) -> int:
        """The process id of the engine; of its first process, which has all that is busy."""
        return self._first.pid

    def open(self, load: AimedLoad) -> None:
        """Connect; returns when every connection is open or has failed."""
        for _ in range(len(self._holders), load.engine_processes - 1):
            self._holders.append(Agent(self._cpus))
        self._each_holder("ready")  # they take longer to start than to connect
        begin = time.monotonic()
        agents = (self._first, *self._holders)
        for process, agent in enumerate(agents):
            agent.tell("open", dataclasses.asdict(load), process)
        for agent in agents:
            agent.answer()
        self._open_seconds = time.monotonic() - begin

    def warm_up(self, seconds: float) -> None:
        """Load the server outside every figure; the engine then holds still."""
        self._call("warm_up", seconds)

    def measure(self, seconds: float, interval_seconds: float) -> None:
        """Load the server and count, with a time axis in steps of `interval_seconds`."""
        self._call("measure", seconds, interval_seconds)

    def measure_at(self, instant_ns: int, seconds: float, interval_seconds: float) -> int:
        """Do that from an instant of the monotonic clock on; return when it did begin."""
        return int(self._call("measure_at", instant_ns, seconds, interval_seconds))

    def drain(self, seconds: float) -> None:
        """Take the answers that are due, for at most `seconds`; connections stay open."""
        self._call("drain", seconds)

    def tally(self) -> Tally:
        """Return what the last window gave."""
        raw = self._call("tally")
        if self._holders:
            parts = [raw, *self._each_holder("warm_up", HOLDERS_LOOK_SECONDS, then="tally")]
            raw |= {name: add([part[name] for part in parts]) for name, add in HELD.items()}
            raw["open_seconds"] = self._open_seconds
        return Tally.from_raw(raw)

    def close(self) -> None:
        """Close the connections; the process stays until the context ends."""
        self._call("close")
        self._each_holder("close")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes: politely after good work, at once after an error."""
        agents = (self._first, *self._holders)
        if error is not None:
            for agent in agents:
                agent.kill()
        for agent in agents:
            agent.end()

    def _call(self, *call: object) -> Any:
        self._first.tell(*call)
        return self._first.answer()

    def _each_holder(self, *call: object, then: str = "") -> list[Any]:
        """Have every holder do the same at once, and one thing more; return what that gave."""
        calls = (call, *([(then,)] if then else []))
        for agent in self._holders:
            for each in calls:
                agent.tell(*each)
        return [[agent.answer() for _ in calls][-1] for agent in self._holders]
