"""Which CPUs the server gets and which the generator (MEASURE.md, "Placement").

A wake-up across CPUs costs many times one on the same CPU, so where the two sides run is part of
every figure and stands in every record.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Placement(NamedTuple):
    """The CPUs of either side."""

    server: list[int]
    client: list[int]


def _split(cpus: list[int]) -> Placement:
    half = max(1, len(cpus) // 2)
    # A machine of one CPU cannot be split; the records show the same CPU on both sides.
    return Placement(cpus[:half], cpus[half:] or cpus)


PLACEMENTS: Mapping[str, Callable[[list[int]], Placement]] = {
    "split": _split,
    "same": lambda cpus: Placement(cpus[:1], cpus[:1]),
    "free": lambda cpus: Placement(cpus, cpus),
}


def place(placement: str, cpus: Sequence[int]) -> Placement:
    """Return the CPUs of server and generator among the allowed `cpus`."""
    return PLACEMENTS[placement](sorted(cpus))


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
