"""How much of the machine something else took while a window was open.

The shares are of all CPUs together: on 2 CPUs, one busy neighbour is a share of 0.5.
"""

from __future__ import annotations

__all__ = ["CpuTicks", "Noise", "noise", "watch"]

import os
import time
from dataclasses import dataclass
from pathlib import Path

FOREIGN_SHARE = 0.1
"""Above this share of all CPUs a trial is marked as disturbed (docs/method.md)."""
STEAL_SHARE = 0.01

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuTicks:
    """The first line of /proc/stat: what all CPUs have done since the start, in ticks."""

    busy: int
    idle: int
    steal: int  # taken by the hypervisor

    @classmethod
    def parse(cls, line: str) -> CpuTicks:
        """Read `cpu user nice system idle iowait irq softirq steal ...`; user holds guests too."""
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, line.split()[1:9])
        return cls(busy=user + nice + system + irq + softirq, idle=idle + iowait, steal=steal)

    @classmethod
    def now(cls) -> CpuTicks:
        """Read the kernel's counters."""
        with Path("/proc/stat").open(encoding="ascii") as lines:
            return cls.parse(lines.readline())


@dataclass(frozen=True, slots=True)
class Noise:
    """Shares of all CPUs over a window, 0 to 1."""

    foreign: float  # used by neither server nor generator
    steal: float

    def remark(self) -> str:
        """Say what disturbed, as `! 23% foreign CPU`; empty when nothing much did."""
        disturbers = (
            (self.foreign, FOREIGN_SHARE, "foreign CPU"),
            (self.steal, STEAL_SHARE, "stolen"),
        )
        words = [f"{share:.0%} {what}" for share, most, what in disturbers if share > most]
        return f"! {', '.join(words)}" if words else ""


def noise(before: CpuTicks, after: CpuTicks, own_cpu_seconds: float) -> Noise:
    """Return what was not ours between two readings. Pure."""
    busy, idle, steal = (
        getattr(after, name) - getattr(before, name) for name in ("busy", "idle", "steal")
    )
    total = max(1, busy + idle + steal)
    foreign = max(0.0, busy - own_cpu_seconds * TICKS_PER_SECOND)
    return Noise(foreign=foreign / total, steal=steal / total)


def watch(seconds: float) -> Noise:
    """Return what the machine does while this process sleeps for `seconds`."""
    before = CpuTicks.now()
    time.sleep(seconds)
    return noise(before, CpuTicks.now(), 0.0)
