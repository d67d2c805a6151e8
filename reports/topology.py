"""Which host had which part in a trial, and what lay between them.

A trial on one machine has no topology. In one across hosts the server ran on one and a generator on
each of the others; the figures of the Sample are those of all generators together, and what each of
them had by itself is here.
"""

from __future__ import annotations

__all__ = ["GeneratorHost", "Topology"]

from dataclasses import dataclass, field

from reports.histogram import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHost:
    """A host that drove a part of the load."""

    name: str
    address: str = ""
    machine: str = ""  # hosts with the same share a kernel and its CPUs
    cpus: list[int] = field(default_factory=list)
    connections: int = 0
    # What it had by itself, over its own window.
    requests: int = 0
    cpu_seconds: float = 0.0  # of its engine
    busy_share: float = 0.0  # of a core, or of the CPUs that it shares with other generators
    limited: bool = False  # it could not follow: above the share that docs/method.md gives
    answered: Histogram = field(default_factory=Histogram)
    jain: float = 0.0  # of its connections
    # Of its window, on the clock of the conductor.
    late_seconds: float = 0.0  # after the generator that began first
    clock_ahead_seconds: float = 0.0  # of the conductor's, before the window
    clock_error_seconds: float = 0.0  # at most: half of the least round trip of the exchanges
    clock_drift_seconds: float = 0.0  # from then until after the window
    # The way to the server.
    mtu: int = 0
    round_trip_ns: float = 0.0  # of one connection to the null server there, p50
    round_trip_least_ns: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The hosts of a trial."""

    server: str = ""  # the name of its host; empty: the trial was not across hosts
    address: str = ""  # that the server listened on
    machine: str = ""
    network: str = ""  # what it is called where it is not as it comes: a shaped link
    conductor: str = ""  # the machine that conducted: a host with the same was disturbed by it
    generators: list[GeneratorHost] = field(default_factory=list)
    overlap: float = 0.0  # of the generators' windows
    common_seconds: float = 0.0  # that throughput was counted over

    @property
    def over_loopback(self) -> bool:
        """Whether server and generator were on one host, and no network between them."""
        return [each.name for each in self.generators] == [self.server]

    @property
    def title(self) -> str:
        """The topology in words."""
        if self.over_loopback:
            return f"{self.server} alone, over loopback"
        clients = ", ".join(each.name for each in self.generators)
        return f"{clients} → {self.server}{f', {self.network}' if self.network else ''}"

    def shares_cpus(self, server_cpus: list[int]) -> bool:
        """Whether a generator ran on CPUs of the server, of the same machine."""
        return any(
            each.machine == self.machine and set(each.cpus) & set(server_cpus)
            for each in self.generators
        )
