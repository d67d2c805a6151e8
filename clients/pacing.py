"""When the requests of an open loop are due: pure schedules, the same in the engine and here.

A schedule is fixed before the first request is sent, which is what makes the loop open: a server
that is late finds the requests of the meantime waiting, with their clocks running.
"""

from __future__ import annotations

__all__ = ["due_times"]

import itertools
import math
from collections.abc import Iterator

_MASK = 2**64 - 1


def due_times(rate: float, arrivals: str, seed: int, first: float = 0.0) -> Iterator[float]:
    """Yield when each request is due, in ns from the schedule's begin.

    `uniform`: first + k / rate. `poisson`: gaps are independent and exponential with mean
    1 / rate, drawn by inversion as -ln(u) / rate (Devroye, Non-Uniform Random Variate
    Generation, 1986, II.2).
    """
    gap = 1e9 / rate
    if arrivals == "uniform":
        for number in itertools.count():
            yield first + number * gap
    due = first
    for uniform in _uniforms(seed):
        due += -math.log(uniform) * gap
        yield due


def _uniforms(seed: int) -> Iterator[float]:
    """Yield pseudo-random numbers in (0, 1] from SplitMix64.

    Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014. Python's
    own generator would do as well, but the engine has to draw the same numbers in C.
    """
    state = seed & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield (((mixed ^ (mixed >> 31)) >> 11) + 1) * 2.0**-53
