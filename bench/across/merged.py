"""The tallies of several generators as one. Pure.

Histograms are added bucket by bucket and nothing is averaged: a percentile of the sum is that of
all requests. Throughput is what all of them had together while all of them were loading the server:
the answers that arrived in the window that they have in common, over its length. Of a time step
that lies across an edge of it, the share that lies within counts.

The busiest generator stands for all: when one cannot follow, the cell says nothing about the
server.
"""

from __future__ import annotations

__all__ = ["Given", "busy_seconds", "dealt", "merged"]

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.across.instants import NS, Span, common
from reports.histogram import Histogram
from reports.load import Load
from reports.tally import Tally, added, joined


class Given(NamedTuple):
    """What a generator gave, when, and where it ran."""

    tally: Tally
    window: Span  # on the conductor's clock
    machine: str = ""  # generators with the same share its CPUs
    cpus: Sequence[int] = ()


def _errors(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _layers(parts: Sequence[Sequence[Histogram]]) -> list[Histogram]:
    return [Histogram.merge(step) for step in zip(*parts, strict=True)]


RULES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "interval_seconds": max,  # all have the same
    "open_seconds": max,  # they opened at the same time
    "company_requests": sum,
    "errors": _errors,
    **dict.fromkeys(
        ("answered", "services", "send_lags", "unanswered", "connecting"), Histogram.merge
    ),
    "connect_retries": sum,
    "idle_served": sum,
    "requests_per_connection": joined,
    "interval_requests": added,
    "interval_latencies": _layers,
}
"""How the figures of several tallies become one; `merged` computes those that are not here."""


def merged(given: Sequence[Given]) -> Tally:
    """Return one tally of all generators; its window is the one that they have in common."""
    together = common([each.window for each in given])
    figures = {
        name: rule([getattr(each.tally, name) for each in given]) for name, rule in RULES.items()
    }
    return Tally(
        seconds=together.seconds,
        requests=round(sum(_within(each, together) for each in given)),
        generator_cpu_seconds=max(busy_seconds(given)),
        **figures,
    )


def _within(given: Given, together: Span) -> float:
    """Return the answers that a generator had in a part of its window."""
    tally, begin = given.tally, given.window.begin
    step = tally.interval_seconds * NS
    total = 0.0
    for number, count in enumerate(tally.interval_requests):
        low, high = begin + number * step, min(begin + (number + 1) * step, given.window.end)
        inside = min(high, together.end) - max(low, together.begin)
        total += count * max(0.0, min(1.0, inside / (high - low)))
    return total


def busy_seconds(given: Sequence[Given]) -> list[float]:
    """Return how busy each generator was, as seconds of a core's time.

    It is its own CPU or, where generators of one machine share fewer CPUs than there are of them,
    its CPUs' load: two of them on one CPU, half of it each, are saturated both.
    """
    found = []
    for each in given:
        beside = [
            other
            for other in given
            if other.machine == each.machine and set(other.cpus) & set(each.cpus)
        ]
        cpus = set[int]().union(*(other.cpus for other in beside))
        load = sum(other.tally.generator_cpu_seconds for other in beside) / (len(cpus) or 1)
        found.append(max(each.tally.generator_cpu_seconds, load))
    return found


def dealt(load: Load, hosts: int) -> list[Load]:
    """Deal a load out: connections, a rate and its arrivals, idle connections and company.

    Poisson arrivals at rate r are the sum of n independent ones at rate r/n. A load of fewer
    connections than there are hosts is driven by as many hosts as it has connections.
    """
    hosts = min(hosts, load.connections)
    shares = []
    for number in range(hosts):
        connections = _deal(load.connections, hosts, number)
        shares.append(
            dataclasses.replace(
                load,
                connections=connections,
                rate=load.rate / hosts,
                seed=(load.seed + number) % 2**64,
                idle_connections=_deal(load.idle_connections, hosts, number),
                company=_deal(load.company, hosts, number),
                engine_threads=min(load.engine_threads, connections),
            )
        )
    return shares


def _deal(count: int, hands: int, hand: int) -> int:
    return count * (hand + 1) // hands - count * hand // hands
