"""The workloads, one row each, and the profiles that pick from them (docs/method.md, "Scenarios").

A row is a scenario at one level. `full` adds further levels of the same scenarios; a level is told
from the others by its words, so two rows never read the same.
"""

from __future__ import annotations

__all__ = [
    "DATAGRAMS",
    "ECHO",
    "EXEC",
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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UserError
from bench.plan.datagrams import BESIDE_TCP, DATAGRAMS
from bench.plan.scenario import ECHO, Scenario
from bench.plan.studies import EFFORTS, STUDIES
from reports.load import Load
from reports.nearest import proposal
from reports.serving import Serving


class UnknownNameError(UserError):
    """A name that is in no table of ours; the message suggests the nearest."""

    def __init__(self, what: str, name: str, known: Mapping[str, object]) -> None:
        hint = proposal(name, known, f"there are {', '.join(known)}")
        super().__init__(f"unknown {what} {name!r}: {hint}")


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
            serving=Serving(placement="free"),
        ),
        Scenario(
            name="wait",
            shows="how many can wait at once",
            load=Load(connections=64, kind="WAIT", size_bytes=64, argument=20_000),
            serving=Serving(placement="free"),
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

EXEC = Scenario(
    name="exec",
    shows="what a process for each request costs",
    load=Load(connections=8, kind="EXEC", size_bytes=0),
)
"""Has a profile of its own, as files have, and for the same reason."""

PLACED: tuple[Scenario, ...] = (
    replace(ECHO.served(placement="free"), models=("thread", "thread-pool", "coroutine")),
)
"""What `standard` adds to the rows above: where threads run decides what they can do, by a factor
of three on two CPUs, so those that it matters to, and one that it does not, run on both."""

LEVELS: tuple[Scenario, ...] = (
    *(ECHO.loaded(connections=connections) for connections in (1, 8, 256, 1_000)),
    *(ECHO.loaded(size_bytes=size_bytes) for size_bytes in (64, 16 * 1024)),
    ECHO.served(placement="free"),
    *(scenario.served(workers=8) for scenario in SCENARIOS.values()),
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

    def within(self, cpus: int) -> Profile:
        """Return the profile without what asks for more CPUs of the server than there are."""
        return replace(
            self, scenarios=tuple(row for row in self.scenarios if row.serving.cpus <= cpus)
        )

    def switching(self, intervals: Sequence[float]) -> Profile:
        """Return the profile with every scenario at each of these switch intervals, in seconds."""
        rows = (
            row.served(switch_seconds=seconds) for row in self.scenarios for seconds in intervals
        )
        return replace(self, scenarios=tuple(dict.fromkeys(rows)))

    def placed(self, placement: str) -> Profile:
        """Return the profile with every scenario at one placement; rows made alike become one.

        Of those the first stays: what `standard` runs at a second placement is in it already.
        """
        rows: dict[tuple[str, str], Scenario] = {}
        for row in self.scenarios:
            moved = row.served(placement=placement)
            rows.setdefault((moved.name, moved.level), moved)
        return replace(self, scenarios=tuple(rows.values()))


STUDIED: Mapping[str, Any] = {
    "blocks": 3,
    "window_seconds": 0.8,
    "warm_up_seconds": 0.2,
    "drain_seconds": 1.0,
}
"""How much of a study is run, unless EFFORTS says otherwise."""

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
            scenarios=(*SCENARIOS.values(), *PLACED),
            blocks=5,
            window_seconds=0.5,
            warm_up_seconds=0.15,
            drain_seconds=0.2,
        ),
        Profile(
            name="full",
            shows="every scenario and further levels, ten blocks of longer windows",
            scenarios=(*SCENARIOS.values(), *FILES.values(), EXEC, *LEVELS),
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
        Profile(
            name="exec",
            shows=f"{EXEC.shows}, five blocks",
            scenarios=(EXEC,),
            blocks=5,
            window_seconds=0.6,
            warm_up_seconds=0.15,
            drain_seconds=1.0,
        ),
        Profile(
            name="udp",
            shows="datagrams, and TCP's echo beside them, three blocks",
            scenarios=BESIDE_TCP,
            **STUDIED,
        ),
        *(
            Profile(
                name=name,
                shows=rows[0].shows,
                scenarios=rows,
                **{**STUDIED, **EFFORTS.get(name, {})},
            )
            for name, rows in STUDIES.items()
        ),
    )
}


def find_scenario(name: str) -> Scenario:
    """Return the row called `name`, a study's first; UnknownNameError when there is none."""
    if name in STUDIES:
        return STUDIES[name][0]
    rows = {**SCENARIOS, **FILES, EXEC.name: EXEC, **DATAGRAMS}
    if name not in rows:
        raise UnknownNameError("scenario", name, {**rows, **STUDIES})
    return rows[name]


def find_load(name: str) -> Scenario:
    """Return the row called `name` if a single one is; UnknownNameError when there is none."""
    rows = {**SCENARIOS, **DATAGRAMS}
    if name not in rows:
        raise UnknownNameError("scenario of a single load", name, rows)
    return rows[name]


def find_profile(name: str) -> Profile:
    """Return the profile called `name`; UnknownNameError when there is none."""
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    return PROFILES[name]
