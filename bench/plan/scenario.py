"""A workload: a load, how it is served, what it is there to show, and its level in words."""

from __future__ import annotations

__all__ = ["ECHO", "Scenario"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reports.load import FILE_KINDS, Load
from reports.serving import USUAL, Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A load, how and where it is served, and what it is there to show."""

    name: str
    shows: str
    load: Load
    serving: Serving = USUAL
    share: float = 0.0  # open loop: the rate as a share of a capacity, measured when a run begins
    share_of: str = ""  # whose: a row of bench.plan.rates.CAPACITIES
    models: tuple[str, ...] = ()  # the only ones that it is there for; empty: all
    spins: bool = True  # an open loop's generator, where it has CPUs to itself
    generators: int = 0  # other hosts that drive it, over the network; 0: the server's own
    network: str = ""  # what that is called where it is not as it comes: "200 Mbit/s"

    def loaded(self, **changes: Any) -> Scenario:
        """Return the scenario with some fields of its load changed."""
        return replace(self, load=replace(self.load, **changes))

    def served(self, **changes: Any) -> Scenario:
        """Return the scenario with some fields of how it is served changed."""
        return replace(self, serving=replace(self.serving, **changes))

    @property
    def level(self) -> str:
        """The load in words; what goes without saying (split, the usual pool) is left out."""
        load = self.load
        words = [_count(load.connections, UNITS[load.transport])]
        if load.session:
            words.append(f"{_count(load.session, 'request')} each")
        words.append(REQUEST_WORDS.get(load.kind, _size)(load))
        if self.share:
            words.append(f"{self.share:.0%} of {self.share_of} capacity")
        elif load.rate:
            words.append(f"{load.rate:,.0f}/s")
        if load.idle_connections:
            words.append(f"{load.idle_connections:,} idle")
        if load.company:
            words.append(f"company of {load.company:,}")
        if self.generators:
            at = f" at {self.network}" if self.network else ""
            words.append(f"over the network{at} from {_count(self.generators, 'host')}")
        return ", ".join([*words, *self.serving.words])

    @property
    def saturates(self) -> bool:
        """Whether the generator may be what limits it: nothing else says how fast to go."""
        load, serving = self.load, self.serving
        return load.kind == "ECHO" and not (
            self.share
            or load.rate
            or load.idle_connections
            or serving.backlog
            or serving.link
            or self.generators
        )


UNITS = {"tcp": "connection", "udp": "flow"}
"""What requests go over, by transport."""


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
    "EXEC": lambda _: "a command that does nothing",
    **{kind: lambda load: f"files of {_size(load)}" for kind in FILE_KINDS},
}
"""How a level names requests that are not told by their size."""


ECHO = Scenario(
    name="echo",
    shows="what a request costs",
    load=Load(connections=64, kind="ECHO", size_bytes=1024),
)
"""The workload that most others are variations of."""
