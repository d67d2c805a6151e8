"""A pair of servers side by side: one model from two trees, under one load, in turns.

Both are fresh processes and keep their connections open all the time; only one of them is loaded
at a time. What disturbs the machine for longer than two slices disturbs both sides alike, and
drops out of their ratio. The turns go ABBA: a steady drift drops out of two of them.

Each side has a generator process of its own, as fresh as its server: a generator that were kept
would favour its side in every pair.
"""

from __future__ import annotations

__all__ = ["Shape", "Side", "SideBySide", "SideFailed"]

import contextlib
import dataclasses
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.errors import TroubleError
from bench.measure import meter
from bench.measure.files import programs_of, root_of
from bench.measure.launch import Server, ServerDied
from bench.measure.placement import Placement
from bench.measure.window import Timing, look, open_load
from bench.plan.order import PlannedCell
from clients.engine.generator import Generator, GeneratorError
from reports.gate.verdicts import Pair

MIB = 2**20
DRAIN_SECONDS = 1.0  # as long as docs/method.md allows: what is unanswered then fails a gate


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a pair is looked at."""

    slices: int = 10  # of either side
    slice_seconds: float = 0.1
    warm_up_seconds: float = 0.1


class NothingMeasured(TroubleError):  # noqa: N818  # it says what happened
    """A slice without an answer: nothing can be said about it."""


def slice_of(
    server: Server, generator: Generator, seconds: float, rest_seconds: float = 0.001
) -> dict[str, float]:
    """Load a server for `seconds` on its open connections, and return the slice's figures.

    Throughput in answers per second, p50 and p99 in us, CPU in us per request; it is read at rest
    on both sides of the slice. NothingMeasured without any answer, ServerDied when it is gone.
    """
    window = look(generator, server, Timing(warm_up_seconds=0.0, seconds=seconds), rest_seconds)
    tally = window.tally
    if not tally.requests or not tally.answered.count:
        errors = [f"{count:,} {kind}" for kind, count in tally.troubles.items()]
        raise NothingMeasured(", ".join([f"no answer within {seconds:g} s", *errors]))
    p50, p99 = (float(value) / 1e3 for value in tally.answered.values_at([50, 99]))
    return {
        "throughput": tally.throughput,
        "p50": p50,
        "p99": p99,
        "cpu": max(1e-3, window.usage.cpu_seconds * 1e6) / tally.requests,
    }


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Measures pairs of servers on the CPUs of a placement."""

    placement: Placement
    shape: Shape = Shape()

    def measure(
        self, cell: PlannedCell, base: Path, head: Path, *, block: int, rng: random.Random
    ) -> Pair:
        """Measure one pair, `base` and `head` being folders that hold a `servers` package.

        Which side starts first, and which is loaded first, is drawn from `rng`. A failure is in
        the Pair, with the side whose it is.
        """
        blank = Pair(
            cell=cell.key,
            placement=self.placement.name,
            block=block,
            started=datetime.now(UTC).isoformat(timespec="milliseconds"),
            figures={},
        )
        homes = {"base": base, "head": head}
        names = rng.sample(sorted(homes), 2)
        with root_of(cell.scenario.load) as root:
            try:
                with ExitStack() as stack:
                    sides = {
                        name: stack.enter_context(Side(name, cell, homes[name], root, self))
                        for name in names
                    }
                    return dataclasses.replace(blank, **self._figures(sides, rng))
            except SideFailed as failure:
                return dataclasses.replace(blank, failure=str(failure), failed=failure.side)
            except GeneratorError as error:
                return dataclasses.replace(blank, failure=str(error))

    def _figures(self, sides: Mapping[str, Side], rng: random.Random) -> dict[str, Any]:
        """Take both sides through their phases; return the fields of a Pair."""
        names = list(sides)
        for name in names:
            sides[name].open()
        found = defaultdict(list)
        for turn in turns(names, self.shape.slices, rng):
            measured = {name: sides[name].slice() for name in turn}
            for metric in measured["base"]:
                found[metric].append((measured["base"][metric], measured["head"][metric]))
        pss = {name: sides[name].footprint() for name in names}
        found["pss"].append((pss["base"], pss["head"]))
        # Both at once: a model that has not served every connection takes all of the time.
        with ThreadPoolExecutor(len(names)) as pool:
            errors = list(pool.map(lambda name: sides[name].close(), names))
        counted = {f"{name}_errors": each for name, each in zip(names, errors, strict=True)}
        return {"figures": dict(found), **counted}


def turns(names: Sequence[str], slices: int, rng: random.Random) -> Iterator[Sequence[str]]:
    """Yield the order of the two sides in each pair of slices: AB BA AB ..., or BA first."""
    forth = rng.sample(names, 2)
    back = forth[::-1]
    for number in range(slices):
        yield back if number % 2 else forth


class SideFailed(TroubleError):  # noqa: N818  # it says what happened
    """A server that did not do what it must, and whose it was."""

    def __init__(self, side: str, sentence: str) -> None:
        super().__init__(sentence)
        self.side = side


class Side:
    """A server and what drives it, one of two or alone; a context manager around both.

    Whatever a server does wrong is a SideFailed with the name of the side.
    """

    def __init__(
        self, name: str, cell: PlannedCell, home: Path, root: str, conditions: SideBySide
    ) -> None:
        self._name = name
        self._cell = cell
        self._shape = conditions.shape
        self._server = Server(
            cell.model,
            cell.serving,
            cpus=conditions.placement.server,
            root=root,
            programs=programs_of(cell.scenario.load),
            home=home,
            interpreter=cell.interpreter,
        )
        self._cpus = conditions.placement.client

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._blamed())
            stack.enter_context(self._server)
            self._generator = stack.enter_context(Generator(self._cpus))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._blamed():
            self._stack.__exit__(kind, error, traceback)

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        """Say of a server's failure whose it is."""
        try:
            yield
        except (ServerDied, NothingMeasured) as error:
            raise SideFailed(self._name, str(error)) from error

    def open(self) -> None:
        """Wait for the server, connect and warm up."""
        with self._blamed():
            self._server.wait_until_answering()
            load = self._server.aimed(self._cell.scenario.load)
            open_load(self._generator, load, self._shape.warm_up_seconds)

    def slice(self) -> dict[str, float]:
        """Return the figures of a slice."""
        rest_seconds = self._cell.scenario.load.rest_seconds
        with self._blamed():
            return slice_of(self._server, self._generator, self._shape.slice_seconds, rest_seconds)

    def footprint(self) -> float:
        """Return the server's PSS in MiB, its connections open."""
        return meter.footprint(self._server.pid).pss_bytes / MIB

    def close(self) -> dict[str, int]:
        """Wait for the last answers, and return the errors of the whole pair by kind."""
        with self._blamed():
            self._generator.drain(DRAIN_SECONDS)
            self._server.check_alive()
        tally = self._generator.tally()
        self._generator.close()
        return tally.troubles
