"""The workloads, one row each, and the profiles that pick from them (docs/method.md, "Scenarios").

A row is a scenario at one level. `full` adds further levels of the same scenarios; a level is told
from the others by its words, so two rows never read the same.
"""

from __future__ import annotations

__all__ = [
    "ECHO",
    "FILES",
    "PROFILES",
    "SCENARIOS",
    "STUDIES",
    "Profile",
    "Scenario",
    "UnknownNameError",
    "find_load",
    "find_profile",
    "find_scenario",
]

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UserError
from reports.load import FILE_KINDS, Load


class UnknownNameError(UserError):
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
    load: Load
    placement: str = "split"  # one of bench.measure.placement.PLACEMENTS
    workers: int = 0  # of a pool; 0: as many as the model's row says
    share: float = 0.0  # open loop: the rate as a share of a capacity, measured when a run begins
    share_of: str = ""  # whose: a row of bench.plan.rates.CAPACITIES
    backlog: int = 0  # of the server; 0: its own
    switch_seconds: float = 0.0  # how long a thread keeps the GIL from others; 0: the usual 5 ms

    def loaded(self, **changes: Any) -> Scenario:
        """Return the scenario with some fields of its load changed."""
        return replace(self, load=replace(self.load, **changes))

    @property
    def level(self) -> str:
        """The load in words; what goes without saying (split, the usual pool) is left out."""
        load = self.load
        words = [_count(load.connections, "connection")]
        if load.session:
            words.append(f"{_count(load.session, 'request')} each")
        words.append(REQUEST_WORDS.get(load.kind, _size)(load))
        if self.share:
            words.append(f"{self.share:.0%} of {self.share_of} capacity")
        elif load.rate:
            words.append(f"{load.rate:,.0f}/s")
        if load.idle_connections:
            words.append(f"{load.idle_connections:,} idle")
        if self.backlog:
            words.append(f"backlog {self.backlog:,}")
        if self.switch_seconds:
            words.append(f"switch interval {self.switch_seconds * 1e3:g} ms")
        if self.placement != "split":
            words.append(self.placement)
        if self.workers:
            words.append(_count(self.workers, "worker"))
        return ", ".join(words)

    @property
    def saturates(self) -> bool:
        """Whether the generator may be what limits it: nothing else says how fast to go."""
        load = self.load
        return load.kind == "ECHO" and not (
            self.share or load.rate or load.idle_connections or self.backlog
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def _size(load: Load) -> str:
    size = load.size_bytes
    units = ((2**20, "MiB"), (2**10, "KiB"))
    whole = (f"{size // scale} {unit}" for scale, unit in units if size and size % scale == 0)
    return next(whole, f"{size} B")


REQUEST_WORDS: Mapping[str, Callable[[Load], str]] = {
    "COMPUTE": lambda load: f"{load.argument:,} rounds",
    "WAIT": lambda load: f"{load.argument / 1000:g} ms",
    **{kind: lambda load: f"files of {_size(load)}" for kind in FILE_KINDS},
}
"""How a level names requests that are not told by their size."""


ECHO = Scenario(
    name="echo",
    shows="what a request costs",
    load=Load(connections=64, kind="ECHO", size_bytes=1024),
)

SCENARIOS: Mapping[str, Scenario] = {
    row.name: row
    for row in (
        ECHO,
        Scenario(
            name="churn",
            shows="what a connection costs",
            load=Load(connections=16, session=1, kind="ECHO", size_bytes=64),
        ),
        Scenario(
            name="sessions",
            shows="both; waiting for a turn",
            load=Load(connections=64, session=20, kind="ECHO", size_bytes=1024),
        ),
        Scenario(
            name="compute",
            shows="the GIL",
            load=Load(
                connections=8,
                kind="COMPUTE",
                size_bytes=64,
                argument=75_000,  # about 2 ms in CPython 3.11; fixed, so that runs compare
            ),
            placement="free",
        ),
        Scenario(
            name="wait",
            shows="how many can wait at once",
            load=Load(connections=64, kind="WAIT", size_bytes=64, argument=20_000),
            placement="free",
        ),
        Scenario(
            name="bulk",
            shows="bytes through user space",
            load=Load(connections=8, kind="ECHO", size_bytes=256 * 1024),
        ),
    )
}

FILES: Mapping[str, Scenario] = {
    row.name: row
    for row in (
        Scenario(
            name="file-get",
            shows="a file on its way out",
            load=Load(connections=16, kind="GET", size_bytes=2**20),
        ),
        Scenario(
            name="file-put",
            shows="a file on its way in, verified and synced",
            load=Load(connections=16, kind="PUT", size_bytes=2**20),
        ),
    )
}
"""Scenarios of files. They have a profile of their own: two more rows would take `standard`, and
with it `make bench`, to its limit of five minutes."""

LEVELS: tuple[Scenario, ...] = (
    *(ECHO.loaded(connections=connections) for connections in (1, 8, 256, 1_000)),
    *(ECHO.loaded(size_bytes=size_bytes) for size_bytes in (64, 16 * 1024)),
    replace(ECHO, placement="free"),
    *(replace(scenario, workers=8) for scenario in SCENARIOS.values()),
)
"""What `full` adds to the rows above."""


STUDIES: Mapping[str, tuple[Scenario, ...]] = {
    "rate": tuple(
        replace(
            ECHO,
            name="rate",
            shows="latency and CPU at a rate that every model can keep",
            share=share,
            share_of="the slowest model's",
            placement=placement,
        )
        for share in (0.25, 0.5)
        for placement in ("split", "same")
    ),
    "curve": tuple(
        replace(
            ECHO,
            name="curve",
            shows="response time against rate, up to and over what a model can do",
            share=share,
            share_of="its own",
        )
        for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2)
    ),
    "connections": tuple(
        Scenario(
            name="connections",
            shows="what an idle connection costs, and how many can be had",
            load=Load(
                connections=16,
                kind="ECHO",
                size_bytes=64,
                idle_connections=idle,
                # A model that does not serve an idle connection is known by its waiting in vain.
                request_timeout_seconds=3.0,
                connect_at_once=512,
            ),
        )
        for idle in (10, 100, 1_000, 10_000)
    ),
    "backlog": tuple(
        Scenario(
            name="backlog",
            shows="a burst of connects against a queue",
            load=Load(
                connections=256,
                kind="ECHO",
                size_bytes=64,
                connect_at_once=256,
                # Long enough for a lost SYN to be sent again twice, after 1 s and after 3.
                connect_timeout_seconds=4.0,
            ),
            backlog=backlog,
        )
        for backlog in (5, 128, 1024)
    ),
}
"""Scenarios of several rows that belong together; each has a profile of its own."""


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
    ceiling_seconds: float = 0.3  # of the null server under each load in each block; 0: not at all

    def narrowed(
        self, scenarios: Sequence[Scenario], blocks: int | None, window_seconds: float | None
    ) -> Profile:
        """Return the profile with what was asked for in place of its own.

        A scenario comes with all the levels that it has here, or as in the table if it has none.
        """
        rows = tuple(
            level
            for scenario in scenarios
            for level in [row for row in self.scenarios if row.name == scenario.name]
            or STUDIES.get(scenario.name, [scenario])
        )
        return replace(
            self,
            scenarios=rows or self.scenarios,
            blocks=blocks or self.blocks,
            window_seconds=window_seconds or self.window_seconds,
        )

    def switching(self, intervals: Sequence[float]) -> Profile:
        """Return the profile with every scenario at each of these switch intervals, in seconds."""
        rows = (
            replace(row, switch_seconds=seconds) for row in self.scenarios for seconds in intervals
        )
        return replace(self, scenarios=tuple(dict.fromkeys(rows)))

    def placed(self, placement: str) -> Profile:
        """Return the profile with every scenario at one placement; rows made alike become one."""
        moved = (replace(row, placement=placement) for row in self.scenarios)
        return replace(self, scenarios=tuple(dict.fromkeys(moved)))


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
            scenarios=(*SCENARIOS.values(), *FILES.values(), *LEVELS),
            blocks=10,
            window_seconds=2.0,
            warm_up_seconds=0.5,
            drain_seconds=1.0,
        ),
        Profile(
            name="files",
            shows="files fetched and stored, five blocks",
            scenarios=tuple(FILES.values()),
            blocks=5,
            window_seconds=0.6,
            warm_up_seconds=0.15,
            drain_seconds=1.0,
        ),
        *(
            Profile(
                name=name,
                shows=rows[0].shows,
                scenarios=rows,
                blocks=3,
                window_seconds=0.8,
                warm_up_seconds=0.2,
                drain_seconds=1.0,
            )
            for name, rows in STUDIES.items()
        ),
    )
}


def find_scenario(name: str) -> Scenario:
    """Return the row called `name`, a study's first; UnknownNameError when there is none."""
    if name in STUDIES:
        return STUDIES[name][0]
    rows = {**SCENARIOS, **FILES}
    if name not in rows:
        raise UnknownNameError("scenario", name, {**rows, **STUDIES})
    return rows[name]


def find_load(name: str) -> Scenario:
    """Return the row called `name` if a single one is; UnknownNameError when there is none."""
    if name not in SCENARIOS:
        raise UnknownNameError("scenario of a single load", name, SCENARIOS)
    return SCENARIOS[name]


def find_profile(name: str) -> Profile:
    """Return the profile called `name`; UnknownNameError when there is none."""
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    return PROFILES[name]
