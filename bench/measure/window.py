"""The one sequence of a measurement: what is done to a server, and when it is looked at.

The generator holds still between its phases, so a server comes to rest, and its CPU is read at
rest on either side of the window (docs/method.md): requests in flight when the window opens cancel
those in flight when it closes. This process sleeps in between.

`drive` is the whole of it, on a fresh generator; a pair of servers that take turns is opened once
(`open_load`) and then looked at slice by slice (`look`). Of the null server as a yardstick only the
answers count (`answers`).
"""

from __future__ import annotations

__all__ = ["UNWEIGHED", "Subject", "Timing", "Window", "answers", "drive", "look", "open_load"]

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bench.measure import meter
from bench.measure.noise import CpuTicks
from clients.engine.generator import Generator
from clients.load import AimedLoad
from reports.tally import Tally


class Subject(Protocol):
    """A server whose CPU and memory are read."""

    @property
    def pid(self) -> int:
        """The root of its process tree."""

    def check_alive(self) -> None:
        """Raise when it has ended: its readings are then worth nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long each phase lasts."""

    warm_up_seconds: float
    seconds: float  # of the window
    interval_seconds: float = 0.0  # the step of its time axis; 0: the window is one
    drain_seconds: float = 0.0  # at most; 0: what is in flight stays so


class Window(NamedTuple):
    """What a measured window gave, of both sides and of the machine."""

    tally: Tally
    usage: meter.Usage  # of the server's tree
    footprint: meter.Footprint  # after it, the connections open; zeros where it was not weighed
    ticks: tuple[CpuTicks, CpuTicks]  # of the machine, at the window's edges
    spread: tuple[int, ...] = ()  # connections by process, ascending; where it was weighed


UNWEIGHED = meter.Footprint(0, 0, 0, 0)


def open_load(generator: Generator, load: AimedLoad, warm_up_seconds: float) -> None:
    """Connect, and load the server outside every figure."""
    generator.open(load)
    generator.warm_up(warm_up_seconds)


def look(
    generator: Generator,
    subject: Subject,
    timing: Timing,
    rest_seconds: float,
    *,
    weighed: bool = False,
) -> Window:
    """Measure one window on connections that are open, the server at rest before and after it.

    `weighed` reads the memory as well, which takes 10 ms for 64 processes.
    """
    before, ticks_before = meter.settle(subject.pid, rest_seconds), CpuTicks.now()
    _load(generator, timing)
    ticks_after, after = CpuTicks.now(), meter.settle(subject.pid, rest_seconds)
    subject.check_alive()
    footprint = meter.footprint(subject.pid) if weighed else UNWEIGHED
    usage = meter.usage(before, after)
    spread = tuple(meter.connections(subject.pid)) if footprint.processes > 1 else ()
    return Window(generator.tally(), usage, footprint, (ticks_before, ticks_after), spread)


def drive(
    generator: Generator,
    subject: Subject,
    load: AimedLoad,
    timing: Timing,
    *,
    weighed: bool = False,
) -> Window:
    """Open, warm up, settle, measure, drain, settle, weigh, tally and close."""
    open_load(generator, load, timing.warm_up_seconds)
    window = look(generator, subject, timing, load.rest_seconds, weighed=weighed)
    generator.close()
    return window


def answers(generator: Generator, load: AimedLoad, timing: Timing) -> Tally:
    """Do the same to a server that nobody weighs: what came back is all that is asked."""
    open_load(generator, load, timing.warm_up_seconds)
    _load(generator, timing)
    tally = generator.tally()
    generator.close()
    return tally


def _load(generator: Generator, timing: Timing) -> None:
    generator.measure(timing.seconds, timing.interval_seconds or timing.seconds)
    if timing.drain_seconds:
        generator.drain(timing.drain_seconds)
