"""The workloads, one row each, and the profiles that pick from them (MEASURE.md, "Scenarios").

A row is a scenario at one level. `full` adds further levels of the same scenarios; a level is told
from the others by its words, so two rows never read the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


class UnknownNameError(LookupError):
    """A name that is in no table of ours; the message suggests the nearest."""

    def __init__(self, what: str, name: str, known: Mapping[str, object]) -> None:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
        super().__init__(f"unknown {what} {name!r}: {hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A load, where it runs, and what it is there to show."""

    name: str
    shows: str
    connections: int
    kind: str  # of the requests, see clients.load.REQUEST_KINDS
    size_bytes: int  # of the payload
    session: int = 0  # requests in a connection's life; 0: it lives for the run
    argument: int = 0  # rounds of COMPUTE, microseconds of WAIT
    depth: int = 1  # requests outstanding on each connection
    placement: str = "split"  # one of bench.placement.PLACEMENTS
    workers: int = 0  # of a pool; 0: as many as the model's row says

    @property
    def level(self) -> str:
        """The load in words; what goes without saying (split, the usual pool) is left out."""
        words = [_count(self.connections, "connection")]
        if self.session:
            words.append(f"{_count(self.session, 'request')} each")
        words.append(REQUEST_WORDS.get(self.kind, _size)(self))
        if self.placement != "split":
            words.append(self.placement)
        if self.workers:
            words.append(_count(self.workers, "worker"))
        return ", ".join(words)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def _size(scenario: Scenario) -> str:
    size = scenario.size_bytes
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


REQUEST_WORDS: Mapping[str, Callable[[Scenario], str]] = {
    "COMPUTE": lambda scenario: f"{scenario.argument:,} rounds",
    "WAIT": lambda scenario: f"{scenario.argument / 1000:g} ms",
}
"""How a level names requests that are not told by their size."""


ECHO = Scenario(
    name="echo",
    shows="what a request costs",
    connections=64,
    kind="ECHO",
    size_bytes=1024,
)

SCENARIOS: Mapping[str, Scenario] = {
    row.name: row
    for row in (
        ECHO,
        Scenario(
            name="churn",
            shows="what a connection costs",
            connections=16,
            session=1,
            kind="ECHO",
            size_bytes=64,
        ),
        Scenario(
            name="sessions",
            shows="both; waiting for a turn",
            connections=64,
            session=20,
            kind="ECHO",
            size_bytes=1024,
        ),
        Scenario(
            name="compute",
            shows="the GIL",
            connections=8,
            kind="COMPUTE",
            size_bytes=64,
            argument=75_000,  # about 2 ms in CPython 3.11; fixed, so that runs compare
            placement="free",
        ),
        Scenario(
            name="wait",
            shows="how many can wait at once",
            connections=64,
            kind="WAIT",
            size_bytes=64,
            argument=20_000,
            placement="free",
        ),
        Scenario(
            name="bulk",
            shows="bytes through user space",
            connections=8,
            kind="ECHO",
            size_bytes=256 * 1024,
        ),
    )
}

LEVELS: tuple[Scenario, ...] = (
    *(replace(ECHO, connections=connections) for connections in (1, 8, 256, 1_000)),
    *(replace(ECHO, size_bytes=size_bytes) for size_bytes in (64, 16 * 1024)),
    replace(ECHO, placement="free"),
    *(replace(scenario, workers=8) for scenario in SCENARIOS.values()),
)
"""What `full` adds to the rows above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much of it to run, and how long each trial looks."""

    name: str
    shows: str
    scenarios: tuple[Scenario, ...]
    blocks: int
    window_seconds: float
    warm_up_seconds: float
    drain_seconds: float  # the most that requests in flight are waited for after the window

    def narrowed(
        self, scenarios: Sequence[Scenario], blocks: int | None, window_seconds: float | None
    ) -> Profile:
        """Return the profile with what was asked for in place of its own.

        A scenario comes with all the levels that it has here, or as in the table if it has none.
        """
        rows = tuple(
            level
            for scenario in scenarios
            for level in [row for row in self.scenarios if row.name == scenario.name] or [scenario]
        )
        return replace(
            self,
            scenarios=rows or self.scenarios,
            blocks=blocks or self.blocks,
            window_seconds=window_seconds or self.window_seconds,
        )


PROFILES: Mapping[str, Profile] = {
    row.name: row
    for row in (
        Profile(
            name="quick",
            shows="one block of three scenarios: does everything work",
            scenarios=tuple(SCENARIOS[name] for name in ("echo", "compute", "wait")),
            blocks=1,
            window_seconds=0.6,
            warm_up_seconds=0.15,
            drain_seconds=0.2,
        ),
        Profile(
            name="standard",
            shows="every scenario, five blocks",
            scenarios=tuple(SCENARIOS.values()),
            blocks=5,
            window_seconds=0.6,
            warm_up_seconds=0.15,
            drain_seconds=0.2,
        ),
        Profile(
            name="full",
            shows="every scenario and further levels, ten blocks of longer windows",
            scenarios=(*SCENARIOS.values(), *LEVELS),
            blocks=10,
            window_seconds=2.0,
            warm_up_seconds=0.5,
            drain_seconds=1.0,
        ),
    )
}


def find_scenario(name: str) -> Scenario:
    """Return the row called `name`; UnknownNameError when there is none."""
    if name not in SCENARIOS:
        raise UnknownNameError("scenario", name, SCENARIOS)
    return SCENARIOS[name]


def find_profile(name: str) -> Profile:
    """Return the profile called `name`; UnknownNameError when there is none."""
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    return PROFILES[name]
