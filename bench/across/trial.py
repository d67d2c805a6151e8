"""A trial across hosts: a server on one, a generator on each of the others, the conductor apart.

The order is that of docs/method.md, "A trial", but that everybody is somewhere else. Each host has
a part (`bench.across.part`), a process that lasts for the trial; the conductor has all of them do a
phase and waits until the last has done it. The windows begin at one instant: each host is told it
on its own clock (`bench.across.instants`). From then until they are over nobody says anything.

    gather   serve   open   warm up   rest   clocks   hush, measure, drain   weigh   clocks   tally

What fails is a failed trial with its reason; and whatever happened, nothing of it is left
on any host, be it because it was told to stop or because its connection ended.
"""

from __future__ import annotations

__all__ = ["Across", "Roles", "RolesError", "roles_named", "side_by_side"]

import dataclasses
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bench.across.instants import (
    LEAST_OVERLAP,
    NS,
    Offset,
    common,
    instants,
    overlap,
    span,
)
from bench.across.meeting import Host, HostError, Meeting, Starter
from bench.across.merged import Given, busy_seconds, dealt, merged
from bench.across.part import machine
from bench.errors import UserError
from bench.measure.meter import Footprint, Usage
from bench.measure.noise import CpuTicks, Noise, noise
from bench.measure.null import as_bytes
from bench.measure.placement import Placement, place
from bench.measure.trial import figures_of, interval_seconds
from bench.measure.window import UNWEIGHED, Window
from bench.plan.ladder import shortfall
from bench.plan.order import PlannedTrial
from bench.plan.scenarios import Profile
from clients.load import AimedLoad
from reports.cells.limits import BUSY
from reports.key import REFERENCE, CellKey
from reports.load import Load
from reports.record import Sample
from reports.schema import built
from reports.tally import Tally
from reports.topology import GeneratorHost, Topology

OPEN_SECONDS = 120.0  # more than any ladder takes
MORE_SECONDS = 10.0
"""After a phase should be over, until a host that says nothing is given up."""
LOOPBACK = "127.0.0.1"
ROUND_TRIP_SECONDS = 0.2
TRIP = Load(connections=1, framing="rawecho", size_bytes=64)


class Roles(NamedTuple):
    """Who is what: names of hosts."""

    server: str
    clients: tuple[str, ...]

    @property
    def alone(self) -> Roles:
        """The server's host with its own generator: the same cell over loopback."""
        return Roles(self.server, (self.server,))


class RolesError(UserError):
    """Roles that a user gave and that cannot be; the message is a sentence."""


def roles_named(server: str, clients: str, cluster: str, placed: bool) -> Roles | None:
    """Return what `--server-host` and `--client-hosts A,B` mean; None without them. RolesError.

    `placed`: the user also named what is of one machine, its CPUs or interpreters.
    """
    names = tuple(dict.fromkeys(clients.replace(",", " ").split()))
    if not (server or names):
        return None  # with a cluster, blocks go whole to its hosts (bench.cluster.away)
    if not (server and names and cluster):
        raise RolesError("--server-host and --client-hosts go together, with a --cluster")
    if server in names:
        raise RolesError(f"{server} cannot be the server's host and drive its load over a network")
    if placed:
        raise RolesError("CPUs and interpreters cannot be named for hosts: each has its own")
    return Roles(server, names)


def side_by_side(profile: Profile, roles: Roles, networks: Sequence[str] = ("",)) -> Profile:
    """Return a profile with each cell twice: over loopback at the server's host, and from others.

    Both are in every block. `networks` are what the network is called in each of its states.
    """
    hosts = len(roles.clients)
    return dataclasses.replace(
        profile,
        ceiling_seconds=0.0,  # it would be this machine's
        scenarios=tuple(
            each
            for scenario in profile.scenarios
            if not scenario.serving.link  # which is a network of its own
            for each in (
                scenario,
                *(
                    dataclasses.replace(scenario, generators=hosts, network=network)
                    for network in networks
                ),
            )
        ),
    )


class Way(NamedTuple):
    """What lies between a host and the server's, measured with our own probe."""

    mtu: int
    round_trip_ns: float  # p50
    least_ns: float


@dataclass(slots=True)
class Across:
    """Measures trials on hosts that a starter reaches; `measure` is `bench.measure.trial`'s."""

    starter: Starter
    roles: Roles
    address: str = LOOPBACK  # where the conductor listens for its parts
    prepare: Callable[[str], object] = lambda _network: None  # is told what the network must be
    fingerprints: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ways: dict[tuple[str, str], Way] = field(default_factory=dict)

    def measure(
        self, trial: PlannedTrial, profile: Profile, run_id: str, *, null: bool = False
    ) -> Sample:
        """Run one trial. A failure is in the Sample, with what it had by then.

        `null` takes the null server for the model: the floor, under the same load and over the
        same way.
        """
        scenario = trial.cell.scenario
        roles = self.roles if scenario.generators else self.roles.alone
        blank = _blank(trial, run_id, roles, null=null)
        figures: dict[str, Any] = {}
        try:
            self.prepare(scenario.network)
            if scenario.generators:
                self._find_ways(scenario.network)
            with Meeting(self.starter, self.address) as meeting:
                under_way = _UnderWay(
                    meeting.gather((roles.server, *roles.clients)), roles, blank, self._way
                )
                under_way.run(trial, profile, figures)
        except HostError as error:
            figures["failure"] = str(error)
        return dataclasses.replace(blank, **figures)

    def visit(self) -> dict[str, dict[str, Any]]:
        """Return what every host says it is; HostError when one cannot be had."""
        with Meeting(self.starter, self.address) as meeting:
            hosts = meeting.gather((self.roles.server, *self.roles.clients))
            return {name: host.fingerprint for name, host in hosts.items()}

    def _way(self, network: str, client: str) -> Way | None:
        return self._ways.get((network, client))

    def _find_ways(self, network: str) -> None:
        """Measure, once, the MTU and the round trip from each client to the server's host."""
        if all((network, client) in self._ways for client in self.roles.clients):
            return
        with Meeting(self.starter, self.address) as meeting:
            hosts = meeting.gather((self.roles.server, *self.roles.clients))
            server = hosts[self.roles.server]
            cpus = place("split", server.cpus)
            null = server.call("serve", _served_null(TRIP, _reached(server, hosts), cpus.server))
            for name in self.roles.clients:
                client = hosts[name]
                mtu = client.call("way", null["host"], null["port"])
                client.call("generate", place("split", client.cpus).client)
                client.call("open", _aimed(null, TRIP))
                now = client.call("clock")
                client.call("measure", now, ROUND_TRIP_SECONDS, ROUND_TRIP_SECONDS, 0.1)
                answered = built(Tally, client.call("tally")).answered
                p50 = float(answered.values_at([50])[0])
                self._ways[network, name] = Way(int(mtu), p50, float(answered.min()))
            for host in hosts.values():
                host.call("end")


class _UnderWay:
    """A trial, its hosts present."""

    def __init__(
        self,
        hosts: Mapping[str, Host],
        roles: Roles,
        blank: Sample,
        way: Callable[[str, str], Way | None],
    ) -> None:
        self._blank = blank
        self._hosts = hosts
        self._roles = roles
        self._server = hosts[roles.server]
        self._loads = dealt(blank.load, len(roles.clients))
        self._clients = [hosts[name] for name in roles.clients[: len(self._loads)]]
        self._way = way
        self._machine = machine()

    def run(self, trial: PlannedTrial, profile: Profile, figures: dict[str, Any]) -> None:
        """Take all through the phases; put each figure into `figures` once it is known."""
        scenario, blank = trial.cell.scenario, self._blank
        serving = scenario.serving
        placements = [place(serving.placement, host.cpus, serving.cpus) for host in self._clients]
        at_server = place(serving.placement, self._server.cpus, serving.cpus)
        spins = bool(blank.load.rate) and scenario.spins and self._may_spin(at_server, placements)
        figures["load"] = dataclasses.replace(blank.load, spin=spins)
        figures["server_cpus"], figures["client_cpus"] = at_server.server, placements[0].client
        figures["topology"] = self._topology(placements, scenario.network)

        ready = dict(self._server.call("serve", self._served(trial, at_server.server)))
        figures |= {name: value for name, value in ready.items() if name not in {"host", "port"}}
        for host, placed in zip(self._clients, placements, strict=True):
            host.call("generate", placed.client)
        loads = [_aimed(ready, dataclasses.replace(load, spin=spins)) for load in self._loads]
        self._each([("open", load) for load in loads], OPEN_SECONDS)
        warm_up = profile.warm_up_seconds
        self._each([("warm_up", warm_up)] * len(self._clients), warm_up + MORE_SECONDS)
        self._at_rest("rest", blank)

        before = [host.clock() for host in self._clients]
        began = self._measure(before, profile)
        weighed = self._at_rest("weigh", blank)
        after = [host.clock() for host in self._clients]

        tallies = [built(Tally, raw) for raw in self._each([("tally",)] * len(self._clients))]
        self._each([("close",)] * len(self._clients))
        seconds = profile.window_seconds
        given = [
            Given(tally, span(start, seconds, first, last), host.machine, placed.client)
            for tally, start, first, last, host, placed in zip(
                tallies, began, before, after, self._clients, placements, strict=True
            )
        ]
        tally = merged(given)
        figures |= figures_of(_window(tally, weighed[self._server.name]))
        others = self._noise(weighed, given)
        figures["foreign_cpu_share"], figures["steal_share"] = others.foreign, others.steal
        topology = _with_figures(figures["topology"], given, before, after)
        figures["topology"] = topology
        figures["stopped"] = shortfall(blank.load, tally) or apart(topology.overlap)
        if said := self._server.call("stop", seconds=OPEN_SECONDS):
            figures["server"] = said
        for host in self._hosts.values():
            host.call("end")

    def _measure(self, offsets: Sequence[Offset], profile: Profile) -> list[int]:
        """Have all windows begin at one instant; return when each did, on its own clock."""
        seconds = profile.window_seconds
        starts = instants(time.monotonic_ns(), offsets)
        lead = (starts[0] - offsets[0].ahead - time.monotonic_ns()) / NS
        patience = lead + seconds + profile.drain_seconds + MORE_SECONDS
        for host in self._hosts.values():
            host.call("hush", patience + MORE_SECONDS)
        turns = _turns(self._blank.load, len(starts), seconds)
        for host, start, turn in zip(self._clients, starts, turns, strict=True):
            step = interval_seconds(seconds)
            host.tell("measure", start + turn, seconds, step, profile.drain_seconds)
        for host in self._hosts.values():
            host.channel.hush()
        try:
            return [int(host.answer(patience)) for host in self._clients]
        finally:
            for host in self._hosts.values():
                host.channel.hush(False)

    def _each(
        self, calls: Sequence[tuple[object, ...]], seconds: float = OPEN_SECONDS
    ) -> list[Any]:
        """Have every generator do a thing at the same time, and wait for all."""
        for host, call in zip(self._clients, calls, strict=True):
            host.tell(*call)
        return [host.answer(seconds) for host in self._clients]

    def _at_rest(self, what: str, blank: Sample) -> dict[str, dict[str, Any]]:
        """Have every host look at itself; the server's first, as close to the window as can be."""
        return {
            host.name: host.call(what, blank.load.rest_seconds) for host in self._hosts.values()
        }

    def _may_spin(self, at_server: Placement, placements: Sequence[Placement]) -> bool:
        """Whether each generator has its CPUs to itself, with no other side on them."""
        taken = [(self._server.machine, set(at_server.server))]
        for host, placed in zip(self._clients, placements, strict=True):
            mine = set(placed.client)
            if any(which == host.machine and mine & cpus for which, cpus in taken):
                return False
            taken.append((host.machine, mine))
        return True

    def _served(self, trial: PlannedTrial, cpus: Sequence[int]) -> dict[str, Any]:
        """Return what the server's host must know to start it."""
        blank = self._blank
        address = (
            LOOPBACK if self._clients == [self._server] else _reached(self._server, self._hosts)
        )
        if blank.cell.model == REFERENCE:
            return _served_null(blank.load, address, cpus)
        return {
            "model": trial.cell.model.name,
            "load": _plain(blank.load),
            "address": address,
            "cpus": list(cpus),
            "serving": dataclasses.asdict(trial.cell.serving),
        }

    def _topology(self, placements: Sequence[Placement], network: str) -> Topology:
        alone = self._clients == [self._server]
        generators = []
        for host, placed, load in zip(self._clients, placements, self._loads, strict=True):
            way = None if alone else self._way(network, host.name)
            generators.append(
                GeneratorHost(
                    name=host.name,
                    address=host.address,
                    machine=host.machine,
                    cpus=placed.client,
                    connections=load.connections,
                    mtu=way.mtu if way else 0,
                    round_trip_ns=way.round_trip_ns if way else 0.0,
                    round_trip_least_ns=way.least_ns if way else 0.0,
                )
            )
        return Topology(
            server=self._server.name,
            address=LOOPBACK if alone else self._server.address,
            machine=self._server.machine,
            network="" if alone else network,
            conductor=self._machine,
            generators=generators,
        )

    def _noise(self, weighed: Mapping[str, Mapping[str, Any]], given: Sequence[Given]) -> Noise:
        """Return what others took of the machine that was disturbed most."""
        server = weighed[self._server.name]
        found = []
        for which in dict.fromkeys(host.machine for host in self._hosts.values()):
            own = sum(each.tally.generator_cpu_seconds for each in given if each.machine == which)
            if which == self._server.machine and "usage" in server:
                own += Usage(**server["usage"]).cpu_seconds
            on_it = [host.name for host in self._hosts.values() if host.machine == which]
            ticks = [CpuTicks(**each) for each in weighed[on_it[0]]["ticks"]]
            found.append(noise(ticks[0], ticks[1], own))
        return max(found, key=lambda each: max(each.foreign, each.steal))


def apart(share: float) -> str:
    """Return why windows that overlap so little are not ranked; empty when they do overlap."""
    if share >= LEAST_OVERLAP:
        return ""
    return (
        f"the generators' windows overlap by {share:.1%}, and by less than {LEAST_OVERLAP:.0%}"
        " they were not loading it together"
    )


def _blank(trial: PlannedTrial, run_id: str, roles: Roles, *, null: bool) -> Sample:
    """Return the record of a trial before anything is known of its hosts."""
    scenario, key = trial.cell.scenario, trial.cell.key
    load = as_bytes(scenario.load) if null else scenario.load
    return Sample(
        run=run_id,
        cell=CellKey(key.scenario, key.level, REFERENCE) if null else key,
        block=trial.block,
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
        load=dataclasses.replace(load, seed=trial.block),
        serving=dataclasses.replace(
            trial.cell.serving,
            workers=0 if null else trial.cell.serving.workers,
            link="network" if scenario.generators else "",
        ),
        server_cpus=[],
        client_cpus=[],
        host=roles.server,
    )


def _plain(load: Load) -> dict[str, Any]:
    return {each.name: getattr(load, each.name) for each in dataclasses.fields(Load)}


def _aimed(ready: Mapping[str, Any], load: Load) -> dict[str, Any]:
    return dataclasses.asdict(AimedLoad.at(ready["host"], ready["port"], load))


def _served_null(load: Load, address: str, cpus: Sequence[int]) -> dict[str, Any]:
    return {"model": REFERENCE, "load": _plain(load), "address": address, "cpus": list(cpus)}


def _reached(server: Host, hosts: Mapping[str, Host]) -> str:
    """Return the address at which the others reach the server's host; HostError without one."""
    elsewhere = [host.name for host in hosts.values() if host.machine != server.machine]
    if elsewhere and socket.inet_aton(server.address)[0] == 127:
        raise HostError(
            f"host {server.name} has come by {server.address}, which {elsewhere[0]} cannot reach:"
            " the conductor must listen on an address of the network"
        )
    return server.address


def _turns(load: Load, hosts: int, seconds: float) -> list[int]:
    """Return how much later than the first each begins, in ns: uniform arrivals take turns.

    Not where that would cost a thousandth of the window: they then come together.
    """
    each = NS / load.rate if load.rate and load.arrivals == "uniform" else 0.0
    return [round(each * number) if each * hosts <= seconds * 1e6 else 0 for number in range(hosts)]


def _window(tally: Tally, server: Mapping[str, Any]) -> Window:
    """Return what the server's host read, as `bench.measure.window` has it."""
    first, last = (CpuTicks(**each) for each in server["ticks"])
    return Window(
        tally,
        Usage(**server["usage"]),
        Footprint(**server["footprint"]) if server["footprint"] else UNWEIGHED,
        (first, last),
        tuple(server["spread"]),
    )


def _with_figures(
    topology: Topology,
    given: Sequence[Given],
    before: Sequence[Offset],
    after: Sequence[Offset],
) -> Topology:
    """Add what each generator had by itself, and how well they kept together."""
    spans = [each.window for each in given]
    first = min(each.begin for each in spans)
    generators = []
    for known, each, busy, start, end in zip(
        topology.generators, given, busy_seconds(given), before, after, strict=True
    ):
        share = busy / each.tally.seconds if each.tally.seconds else 0.0
        generators.append(
            dataclasses.replace(
                known,
                requests=each.tally.requests,
                cpu_seconds=each.tally.generator_cpu_seconds,
                busy_share=share,
                limited=share > BUSY,
                answered=each.tally.answered,
                jain=each.tally.jain(),
                late_seconds=(each.window.begin - first) / NS,
                clock_ahead_seconds=start.ahead / NS,
                clock_error_seconds=start.error / NS,
                clock_drift_seconds=(end.ahead - start.ahead) / NS,
            )
        )
    return dataclasses.replace(
        topology,
        generators=generators,
        overlap=overlap(spans),
        common_seconds=common(spans).seconds,
    )
