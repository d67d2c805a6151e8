"""What limited a cell: the server, the generator, waiting, or nothing that can be told. Pure.

A table of rules, the gravest first; the first that holds gives the verdict. Each is a claim with
its evidence in a sentence. A cell that the generator limited says nothing about how fast its server
can be, so that rule stands before the server's: in doubt a figure is "at least", not a rank.
"""

from __future__ import annotations

__all__ = ["BUSY", "Evidence", "LimitVerdict", "may_use", "verdict"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from reports.units import number, percent

BUSY = 0.9
"""Of what a side may use: from there on its CPU may have been the limit (docs/method.md)."""
IDLE = 0.5
"""Below this share on both sides, what the requests wait for is not a CPU."""
NEAR_CEILING = 0.95
BEYOND_CEILING = 1.25
"""Of the null server: no server surely does more, so that one was not measured well."""
LITTLE_TOLERANCE = 0.05
CROWDED = 0.10
"""Of all CPUs: where others have more, two idle sides may have waited for a CPU after all."""
RATE_KEPT = 0.98
"""Of the rate of an open loop: from there on the server keeps up with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict is drawn from; medians over the trials of a cell."""

    server_cores: float  # CPU seconds of the tree per second
    server_may_use: float  # cores, see `may_use`
    generator_cores: float
    spins: bool  # the generator never sleeps, so its CPU says nothing
    throughput: float  # answers per second
    ceiling: float = 0.0  # the null server's, same load and block; 0: not measured
    asked_at_most: float = 0.0  # where each request waits: no server could answer more; 0: no bound
    rate: float = 0.0  # requests due per second; 0: a closed loop
    others: float = 0.0  # share of all CPUs that neither side had
    in_flight: float = 0.0  # throughput x mean latency
    outstanding: float = 0.0  # what it must be: served connections x depth; 0: cannot be said

    @property
    def server_share(self) -> float:
        """How much of what it may use the server used."""
        return self.server_cores / self.server_may_use if self.server_may_use > 0 else math.inf

    @property
    def generator_share(self) -> float:
        """How busy the generator's one thread was; 0 where that cannot be told."""
        return 0.0 if self.spins else self.generator_cores

    @property
    def little_holds(self) -> bool:
        """Whether throughput and latency agree: N = X * R (Little 1961, Op. Res. 9:383)."""
        off = abs(self.in_flight - self.outstanding)
        return not self.outstanding or off <= LITTLE_TOLERANCE * self.outstanding


class LimitVerdict(NamedTuple):
    """What limited a cell, and why it is thought so."""

    limit: str  # server, generator, ceiling, waiting or unclear
    reasons: tuple[str, ...]  # sentences without a full stop; the first is the ground
    brief: str = ""  # the limit with the share that decided: server 99%

    def __str__(self) -> str:
        return f"{self.limit}: {'; '.join(self.reasons)}" if self.reasons else self.limit


class LimitRule(NamedTuple):
    """A verdict, when it holds, the sentence that says so, and the share that decided."""

    limit: str
    holds: Callable[[Evidence], bool]
    reason: Callable[[Evidence], str]
    share: Callable[[Evidence], float] | None = None


def may_use(
    *, server_cpus: int, shared: bool, generator_cores: float, processes: int, gil: bool
) -> float:
    """Return the cores that a server may use at most.

    A process under the GIL runs Python on one core at a time. CPUs that the generator runs on as
    well are the server's less what the generator used.
    """
    cores = server_cpus - (generator_cores if shared else 0.0)
    return min(cores, float(max(1, processes))) if gil else cores


LIMIT_RULES = (
    LimitRule(
        "ceiling",
        lambda e: bool(e.asked_at_most) and e.throughput >= NEAR_CEILING * e.asked_at_most,
        lambda e: (
            f"at the ceiling: {e.throughput:,.0f} of the {e.asked_at_most:,.0f} requests/s that"
            " these connections can ask for"
        ),
        lambda e: e.throughput / e.asked_at_most,
    ),
    LimitRule(
        "generator",
        lambda e: e.generator_share > BUSY,
        lambda e: f"generator {percent(e.generator_share)} busy",
        lambda e: e.generator_share,
    ),
    LimitRule(
        "unclear",
        lambda e: bool(e.ceiling) and e.throughput > BEYOND_CEILING * e.ceiling,
        lambda e: (
            f"{e.throughput:,.0f} requests/s is more than the null server's {e.ceiling:,.0f}: one"
            " of the two was disturbed"
        ),
    ),
    LimitRule(
        "generator",
        lambda e: bool(e.ceiling) and e.throughput >= NEAR_CEILING * e.ceiling,
        lambda e: (
            f"{percent(e.throughput / e.ceiling)} of the {e.ceiling:,.0f} requests/s that the null"
            " server reaches"
        ),
        lambda e: e.throughput / e.ceiling,
    ),
    LimitRule(
        "server",
        lambda e: e.server_share >= BUSY,
        lambda e: (
            f"the server used {number(e.server_cores)} of the {number(e.server_may_use)} cores"
            " that it may use"
        ),
        lambda e: e.server_share,
    ),
    LimitRule(
        "waiting",
        lambda e: bool(e.rate) and e.throughput >= RATE_KEPT * e.rate,
        lambda e: f"it keeps up with {e.rate:,.0f} requests/s",
    ),
    LimitRule(
        "unclear",
        lambda e: e.others > CROWDED,
        lambda e: f"others used {percent(e.others)} of the machine",
    ),
    LimitRule(
        "waiting",
        lambda e: max(e.server_share, e.generator_share) < IDLE and e.little_holds and not e.rate,
        lambda e: (
            f"server {percent(e.server_share)} and generator {percent(e.generator_share)} busy:"
            " requests wait for something other than a CPU"
        ),
    ),
    LimitRule(
        "unclear",
        lambda _: True,
        lambda e: (
            f"server {percent(e.server_share)}"
            + (", generator spins" if e.spins else f", generator {percent(e.generator_share)} busy")
        ),
    ),
)


def verdict(evidence: Evidence) -> LimitVerdict:
    """Return what limited a cell; a breach of Little's law is said with every verdict."""
    rule = next(rule for rule in LIMIT_RULES if rule.holds(evidence))
    reasons = [rule.reason(evidence)]
    if not evidence.little_holds:
        reasons.append(
            f"{number(evidence.in_flight)} requests in flight by Little's law,"
            f" {number(evidence.outstanding)} outstanding"
        )
    share = f" {percent(rule.share(evidence))}" if rule.share else ""
    return LimitVerdict(rule.limit, tuple(reasons), rule.limit + share)
