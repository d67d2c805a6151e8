"""Which CPUs the server gets and which the generator (docs/method.md, "Placement").

A wake-up across CPUs costs many times one on the same CPU, so where the two sides run is part of
every figure and stands in every record.
"""

from __future__ import annotations

__all__ = [
    "PLACEMENTS",
    "Placement",
    "PlacementError",
    "allowed_cpus",
    "chosen",
    "find_placement",
    "pinned",
    "place",
]

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.errors import UserError
from bench.plan.scenarios import UnknownNameError


class PlacementError(UserError):
    """CPUs that a user named and that cannot be used so; the message is a sentence."""


class Placement(NamedTuple):
    """The CPUs of either side."""

    server: list[int]
    client: list[int]

    @property
    def name(self) -> str:
        """The row of PLACEMENTS that it is, or is most like."""
        if self.apart:
            return "split"
        return "same" if self.server == self.client and len(self.server) == 1 else "free"

    @property
    def apart(self) -> bool:
        """Whether the generator has its CPUs to itself, and may spin on them."""
        return not set(self.server) & set(self.client)


def _split(cpus: list[int]) -> Placement:
    half = max(1, len(cpus) // 2)
    # A machine of one CPU cannot be split; the records show the same CPU on both sides.
    return Placement(cpus[:half], cpus[half:] or cpus)


PLACEMENTS: Mapping[str, Callable[[list[int]], Placement]] = {
    "split": _split,
    "same": lambda cpus: Placement(cpus[:1], cpus[:1]),
    "free": lambda cpus: Placement(cpus, cpus),
}


def find_placement(name: str) -> str:
    """Return `name` when it is a placement; UnknownNameError when it is none."""
    if name not in PLACEMENTS:
        raise UnknownNameError("placement", name, PLACEMENTS)
    return name


def place(placement: str, cpus: Sequence[int] | Placement, most: int = 0) -> Placement:
    """Return the CPUs of server and generator among the allowed `cpus`, or those a user named.

    The server has at most so many of its own; 0: all of them.
    """
    placed = cpus if isinstance(cpus, Placement) else PLACEMENTS[placement](sorted(cpus))
    return placed._replace(server=placed.server[:most]) if most else placed


def chosen(server: str, client: str, allowed: Sequence[int]) -> Placement | None:
    """Return the placement that lists like `0,2-3` name; None without any. PlacementError."""
    if not server and not client:
        return None
    if not (server and client):
        raise PlacementError("--server-cpus and --client-cpus go together, as in 0 and 1")
    return Placement(_cpus(server, allowed), _cpus(client, allowed))


def _cpus(text: str, allowed: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise PlacementError(f"CPUs are numbers with commas between, as in 0,2-3, not {text!r}")
        # Ends beyond the allowed CPUs are found out before a range of any length is built.
        for end in (int(first), int(last or first)):
            if end not in allowed:
                there = ",".join(map(str, allowed))
                raise PlacementError(f"there is no CPU {end} to run on, there are {there}")
        found.update(range(int(first), int(last or first) + 1))
    if not found or not found <= set(allowed):
        raise PlacementError(f"not all CPUs of {text!r} are allowed to this process")
    return sorted(found)


def allowed_cpus() -> list[int]:
    """Return the CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Pin this thread to `cpus` for a moment: a process started in it inherits the pinning.

    The other way, a function run in the child between fork and exec, is unsafe with threads.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
