"""A trial across hosts: instants on several clocks, tallies brought together, and what goes wrong.

The hosts are made up, in threads of this process; `test_across_namespaces.py` has real ones.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.across import trial as across_trial
from bench.across.instants import Exchange, Offset, Span, common, instants, offset_of, overlap, span
from bench.across.lines import Channel, LostError
from bench.across.meeting import HostError, Invitation, Meeting
from bench.across.merged import RULES, Given, busy_seconds, dealt, merged
from bench.across.starting import environment
from bench.across.trial import Across, Roles, RolesError, roles_named, side_by_side
from bench.cluster.parts import NoSuchHostError, Task, cluster
from bench.measure.null import helper
from bench.measure.placement import allowed_cpus
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.scenarios import PROFILES, SCENARIOS
from clients.engine.reference import Reference
from reports.cells.report import report_of
from reports.histogram import HALF_BUCKET, Histogram
from reports.load import Load
from reports.page.html import page
from reports.record import Sample
from reports.studies.hosts import section
from reports.tally import Tally
from reports.topology import GeneratorHost, Topology
from servers.catalog import find
from tests.made_up_hosts import MadeUp, Threads
from tests.runs import make_run, make_sample

SECOND = 1_000_000_000


# Clocks and instants.


@given(
    ahead=st.integers(-(10**15), 10**15),
    ways=st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=1, max_size=32),
)
def test_an_offset_is_never_wrong_by_more_than_it_says(
    ahead: int, ways: list[tuple[int, int]]
) -> None:
    exchanges = [
        Exchange(0, there + ahead, there + ahead + 7, there + 7 + back) for there, back in ways
    ]
    found = offset_of(exchanges)
    assert abs(found.ahead - ahead) <= found.error
    assert found.error <= min(there + back for there, back in ways) / 2 + 1


def test_one_instant_is_told_to_every_host_on_its_own_clock() -> None:
    offsets = [Offset(0, 10), Offset(5 * SECOND, 10), Offset(-3 * SECOND, 10)]
    told = instants(SECOND, offsets, 2.0)
    assert [start - each.ahead for start, each in zip(told, offsets, strict=True)] == [
        3 * SECOND
    ] * 3


def test_windows_overlap_by_the_share_that_all_of_them_have() -> None:
    whole, late = Span(0, 100), Span(10, 110)
    assert common([whole, late]) == Span(10, 100)
    assert overlap([whole, late]) == pytest.approx(0.9)
    assert overlap([whole, whole]) == 1.0
    assert overlap([whole, Span(200, 300)]) == 0.0


def test_each_end_of_a_window_is_told_by_the_offset_measured_next_to_it() -> None:
    assert span(6 * SECOND, 1.0, Offset(5 * SECOND, 0), Offset(5 * SECOND + 100, 0)) == Span(
        SECOND, 2 * SECOND - 100
    )


# Tallies brought together.


def tally_of(latencies_ns: list[int], **more: Any) -> Tally:
    return MadeUp(latencies_ns, **more).tally()


def test_there_is_a_rule_for_every_figure_that_is_not_computed() -> None:
    computed = {"seconds", "requests", "generator_cpu_seconds"}
    assert RULES.keys() | computed == {each.name for each in dataclasses.fields(Tally)}


def test_the_percentiles_of_two_generators_are_those_of_all_raw_latencies() -> None:
    rng = np.random.default_rng(1)
    fast = [int(value) for value in rng.lognormal(11, 0.3, 4000)]
    slow = [int(value) for value in rng.lognormal(14, 0.3, 400)]
    window = Span(0, SECOND)
    both = merged([Given(tally_of(fast), window), Given(tally_of(slow), window)])
    assert both.answered == Histogram.of([*fast, *slow])
    averaged = np.mean([Histogram.of(each).values_at([99])[0] for each in (fast, slow)])
    raw = sorted([*fast, *slow])[int(0.99 * (len(fast) + len(slow)) + 0.5) - 1]
    (p99,) = both.answered.values_at([99])
    assert raw <= p99 <= raw * (1 + 1 / HALF_BUCKET) + 1
    assert abs(averaged - raw) > 0.1 * raw  # which an average of theirs would not be


class Raw(Reference):
    """The oracle, whose latencies can be had one by one."""

    @property
    def latencies_ns(self) -> list[int]:
        return [round(latency * 1e9) for _, latency in self._answered]


def test_the_merged_p99_of_a_known_server_is_that_of_all_raw_latencies_within_a_bucket() -> None:
    with helper("clients.targets.known", allowed_cpus(), "delay", "0.003") as server:
        drivers = [Raw(server.aimed(Load(connections=4))) for _ in range(2)]

        def drive(driver: Raw) -> None:
            driver.open()
            driver.measure(0.25, 0.05)
            driver.drain(0.5)

        threads = [threading.Thread(target=drive, args=(each,)) for each in drivers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tallies = [Tally.from_raw(each.tally()) for each in drivers]
        for driver in drivers:
            driver.close()
    raw = sorted(value for driver in drivers for value in driver.latencies_ns)
    window = Span(0, round(tallies[0].seconds * SECOND))
    both = merged([Given(each, window) for each in tallies])
    at = max(1, int(0.99 * len(raw) + 0.5))
    assert both.answered.count == len(raw) > 100
    (p99,) = both.answered.values_at([99])
    assert raw[at - 1] * (1 - 1 / HALF_BUCKET) <= p99 <= raw[at - 1] * (1 + 1 / HALF_BUCKET) + 1


def test_throughput_is_the_sum_over_the_window_that_all_have_in_common() -> None:
    one, other = tally_of([1000] * 400), tally_of([1000] * 800)
    both = merged([Given(one, Span(0, SECOND)), Given(other, Span(SECOND // 2, SECOND * 3 // 2))])
    assert both.seconds == pytest.approx(0.5)
    assert both.requests == 200 + 400  # half of each: two of four steps
    assert both.throughput == pytest.approx(1200)


def test_a_step_that_lies_across_an_edge_counts_with_its_share() -> None:
    one = tally_of([1000] * 400)  # 100 in each quarter of a second
    late = Span(SECOND // 8, SECOND * 9 // 8)
    both = merged([Given(one, Span(0, SECOND)), Given(tally_of([]), late)])
    assert both.requests == 350


@pytest.mark.parametrize(
    ("other", "busy"),
    [
        ({"machine": "there", "cpus": [1]}, [0.6, 0.6]),  # a CPU each
        ({"machine": "here", "cpus": [1]}, [1.2, 1.2]),  # one CPU for both
        ({"machine": "here", "cpus": [0]}, [0.6, 0.6]),
        ({"machine": "here", "cpus": [0, 1]}, [0.6, 0.6]),  # two for both, and 1.2 to do
    ],
)
def test_generators_that_share_a_cpu_are_as_busy_as_it_is(
    other: dict[str, Any], busy: list[float]
) -> None:
    tally = tally_of([1000], cpu_seconds=0.6)
    window = Span(0, SECOND)
    pair = [Given(tally, window, "here", [1]), Given(tally, window, **other)]
    assert busy_seconds(pair) == pytest.approx(busy)


def test_the_busiest_generator_stands_for_all() -> None:
    window = Span(0, SECOND)
    tallies = [tally_of([1000], cpu_seconds=share) for share in (0.2, 0.97)]
    pair = [Given(each, window, f"m{number}", [0]) for number, each in enumerate(tallies)]
    assert merged(pair).generator_cpu_seconds == 0.97


def test_a_load_is_dealt_out_without_a_rest() -> None:
    load = Load(connections=7, rate=1000.0, arrivals="poisson", idle_connections=5, seed=3)
    shares = dealt(load, 3)
    assert sum(each.connections for each in shares) == 7
    assert sum(each.rate for each in shares) == pytest.approx(1000.0)
    assert sum(each.idle_connections for each in shares) == 5
    assert len({each.seed for each in shares}) == 3  # or their arrivals would be the same
    assert [each.connections for each in dealt(Load(connections=1), 2)] == [1]


# A trial, its hosts made up.

PROFILE = dataclasses.replace(
    PROFILES["quick"], window_seconds=0.1, warm_up_seconds=0.01, drain_seconds=0.1
)


def planned(generators: int = 2, **load: Any) -> PlannedTrial:
    scenario = dataclasses.replace(SCENARIOS["echo"], generators=generators).loaded(
        connections=2, **load
    )
    return PlannedTrial(PlannedCell(find("thread"), scenario, 0), 1)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin after a moment, and give a silent host up after little more."""
    monkeypatch.setattr(across_trial, "instants", lambda now, offsets: instants(now, offsets, 0.05))
    monkeypatch.setattr(across_trial, "MORE_SECONDS", 0.5)


def tried(hosts_beside: int = 2, /, **hosts: MadeUp) -> Sample:
    given = {"s": MadeUp(), "a": MadeUp(), "b": MadeUp()} | hosts
    across = Across(Threads(**given), Roles("s", ("a", "b")))
    return across.measure(planned(hosts_beside), PROFILE, "a-run")


def test_two_hosts_whose_clocks_are_five_seconds_apart_begin_together() -> None:
    sample = tried(b=MadeUp(ahead_ns=5 * SECOND), a=MadeUp(ahead_ns=-(10**15)))
    assert (sample.failure, sample.stopped) == ("", "")
    one, other = sample.topology.generators
    assert sample.topology.overlap >= 0.99
    assert other.clock_ahead_seconds == pytest.approx(5.0, abs=0.01)
    assert one.clock_ahead_seconds == pytest.approx(-1e6, abs=0.01)
    assert sample.tally.requests == pytest.approx(200, rel=0.03)
    assert sample.tally.answered.count == 200


def test_a_generator_that_begins_late_is_marked_and_the_cell_not_ranked() -> None:
    sample = tried(b=MadeUp(late_ns=SECOND // 50))
    assert sample.topology.overlap == pytest.approx(0.8, abs=0.05)
    assert "windows overlap by" in sample.stopped
    report = report_of(make_run(), [sample])
    assert not report.workloads[0].cells[0].ranked


def test_one_saturated_generator_makes_the_cell_the_generators() -> None:
    sample = tried(b=MadeUp(cpu_seconds=0.095))
    assert [each.limited for each in sample.topology.generators] == [False, True]
    cell = report_of(make_run(), [sample]).workloads[0].cells[0]
    assert cell.verdict.limit == "generator"


def test_what_each_generator_had_by_itself_is_kept() -> None:
    sample = tried(b=MadeUp(latencies_ns=[9_000_000] * 40, cpu_seconds=0.02))
    one, other = sample.topology.generators
    assert (one.requests, other.requests) == (100, 40)
    assert other.answered == Histogram.of([9_000_000] * 40)
    assert (one.cpu_seconds, other.cpu_seconds) == (0.01, 0.02)
    assert other.jain == 1.0
    assert (other.mtu, sample.serving.link, sample.host) == (1500, "network", "s")


def test_over_loopback_the_server_s_host_drives_itself() -> None:
    server = MadeUp()
    sample = tried(0, s=server)
    assert sample.topology.over_loopback
    assert sample.topology.title == "s alone, over loopback"
    (served,) = [call[1] for call in server.heard if call[0] == "serve"]
    assert served["address"] == "127.0.0.1"
    assert (sample.serving.link, sample.failure) == ("", "")


def test_in_a_window_nobody_says_anything() -> None:
    hosts = {name: MadeUp() for name in "sab"}
    tried(**hosts)
    after = {"s": ["weigh"], "a": ["measure", "weigh"], "b": ["measure", "weigh"]}
    for name, then in after.items():
        calls = [call[0] for call in hosts[name].heard]
        at = calls.index("hush") + 1
        assert calls[at : at + len(then)] == then


@pytest.mark.parametrize(
    ("host", "trouble", "says"),
    [
        ("s", MadeUp(fails={"serve": "the server died"}), "on host s: the server died"),
        ("b", MadeUp(fails={"open": "no ports"}), "on host b: no ports"),
        ("b", MadeUp(gone_at="warm_up"), "host b has closed its connection"),
        ("a", MadeUp(silent_at="warm_up"), "host a has said nothing for"),
    ],
    ids=["server", "generator", "gone", "silent"],
)
def test_what_fails_on_a_host_is_a_failed_trial_with_its_reason(
    host: str, trouble: MadeUp, says: str
) -> None:
    sample = tried(**{host: trouble})
    assert sample.failure.startswith(says)
    assert sample.tally.seconds == 0  # and nothing of it is a figure


def test_a_host_that_cannot_be_had_is_named_with_what_its_starter_says() -> None:
    starter = Threads(s=MadeUp(), a=MadeUp(), b=MadeUp())
    starter.troubles["b"] = "its worker was lost"
    sample = Across(starter, Roles("s", ("a", "b"))).measure(planned(), PROFILE, "a-run")
    assert sample.failure == "host b cannot take part: its worker was lost"


def test_whoever_does_not_know_the_secret_is_not_let_in() -> None:
    class Stranger(Threads):
        def start(self, invitation: Invitation) -> Any:
            wrong = invitation._replace(secret="guessed")  # noqa: S106  # a guess
            threading.Thread(target=MadeUp().live, args=(wrong,), daemon=True).start()
            return super().start(invitation)

    with Meeting(Stranger(a=MadeUp(machine="the right one"))) as meeting:
        assert meeting.gather(["a"])["a"].machine == "the right one"


def test_hosts_of_one_machine_do_not_spin_on_the_same_cpus() -> None:
    def spins(**hosts: MadeUp) -> bool:
        given = {name: MadeUp(machine=name) for name in "sab"} | hosts
        across = Across(Threads(**given), Roles("s", ("a", "b")))
        return across.measure(planned(rate=500.0), PROFILE, "a-run").load.spin

    assert spins()
    assert not spins(a=MadeUp(machine="one"), b=MadeUp(machine="one"))


def test_a_server_that_came_by_loopback_is_not_looked_for_by_other_machines() -> None:
    host = MadeUp()
    across = Across(Threads(s=host, a=MadeUp()), Roles("s", ("a",)))
    with Meeting(across.starter) as meeting:
        hosts = meeting.gather("sa")
        hosts["s"].address = "127.0.0.1"
        with pytest.raises(HostError, match="must listen on an address of the network"):
            across_trial._reached(hosts["s"], hosts)


# Connections.


@pytest.fixture
def ends() -> Any:
    one, other = socket.socketpair()
    one.close()
    other.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    channels = Channel(one), Channel(other)
    yield channels
    for each in channels:
        each.close()


def test_a_hushed_connection_sends_nothing_of_its_own(ends: tuple[Channel, Channel]) -> None:
    def keeps_alive() -> int:
        return ends[0].socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    assert keeps_alive()
    ends[0].hush()
    assert not keeps_alive()
    ends[0].hush(False)
    assert keeps_alive()


def test_a_silent_peer_is_lost(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(LostError, match="said nothing"):
        ends[0].receive(0.01)


def test_a_peer_that_has_gone_is_lost(ends: tuple[Channel, Channel]) -> None:
    ends[1].close()
    with pytest.raises(LostError, match="closed"):
        ends[0].receive(1.0)


def test_half_a_line_is_no_word(ends: tuple[Channel, Channel]) -> None:
    ends[1].socket.sendall(b'["tal')
    ends[1].close()
    with pytest.raises(LostError):
        ends[0].receive(1.0)


def test_a_server_does_not_inherit_what_a_worker_sets_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    kept = environment()
    assert not {"MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS"} & kept.keys()
    assert kept["PYTHONHASHSEED"] == "0"


# What is planned, stored and shown.


def test_each_cell_is_planned_over_loopback_and_over_each_network() -> None:
    roles = Roles("s", ("a", "b"))
    profile = side_by_side(PROFILES["quick"], roles, ("", "200 Mbit/s"))
    assert [each.level for each in profile.scenarios if each.name == "echo"] == [
        "64 connections, 1 KiB",
        "64 connections, 1 KiB, over the network from 2 hosts",
        "64 connections, 1 KiB, over the network at 200 Mbit/s from 2 hosts",
    ]
    assert profile.ceiling_seconds == 0.0


def across_sample(generators: list[str], throughput: float, block: int = 0) -> Sample:
    sample = make_sample("echo", "thread", block)
    level = sample.cell.level
    alone = generators == ["s"]
    if not alone:
        level += f", over the network from {len(generators)} hosts"
    hosts = [
        GeneratorHost(
            name=name,
            address="10.0.0.2",
            machine=f"machine-{name}",
            cpus=[1],
            connections=32,
            requests=100,
            busy_share=0.5,
            answered=sample.tally.answered,
            mtu=1500,
            round_trip_ns=0.0 if alone else 80_000.0,
        )
        for name in generators
    ]
    topology = Topology(
        server="s", address="10.0.0.1", machine="machine-s", generators=hosts, overlap=0.999
    )
    seconds = sample.tally.seconds
    return dataclasses.replace(
        sample,
        cell=sample.cell._replace(level=level),
        topology=topology,
        host="s",
        tally=dataclasses.replace(sample.tally, requests=round(throughput * seconds)),
    )


def test_a_sample_keeps_its_topology_and_one_without_has_none() -> None:
    sample = across_sample(["a", "b"], 1000.0)
    values = json.loads(json.dumps(sample.to_json()))
    assert Sample.from_json(values) == sample
    old = {name: value for name, value in values.items() if name != "topology"}
    assert Sample.from_json(old).topology == Topology()


@pytest.mark.parametrize(("machine", "shared"), [("machine-s", True), ("machine-a", False)])
def test_cpus_are_shared_by_those_of_one_machine_only(machine: str, shared: bool) -> None:
    sample = across_sample(["a"], 1000.0)
    (host,) = sample.topology.generators
    moved = dataclasses.replace(host, machine=machine, cpus=[0])
    topology = dataclasses.replace(sample.topology, generators=[moved])
    told = dataclasses.replace(sample, topology=topology, server_cpus=[0], client_cpus=[0])
    assert told.shares_cpus is shared


def test_the_report_says_who_was_what_and_lays_loopback_beside_the_network() -> None:
    samples = [
        across_sample(generators, throughput * (1 + block / 100), block)
        for block in range(5)
        for generators, throughput in ((["s"], 10_000.0), (["a", "b"], 6_000.0))
    ]
    report = report_of(make_run(), samples)
    found = section(report)
    assert found is not None
    captions = [table.caption for table in found.tables]
    assert captions[0].startswith("a, b → s: hosts and roles in 5 trials")
    assert captions[1].startswith("a, b → s: the network")
    assert captions[2].startswith("s alone, over loopback: hosts and roles")
    compared = found.tables[-1]
    assert compared.rows[0].figures[-1].startswith("0.60")
    assert [row.figures[0] for row in found.tables[0].rows] == ["server", "generator", "generator"]
    assert "it leaves 60%" in found.finding
    html = page(report, [])
    assert "all traffic over the loopback interface" not in html
    assert "traffic between hosts (" in html


def test_a_run_on_one_machine_has_no_such_section() -> None:
    assert section(report_of(make_run(), [make_sample()])) is None


def test_hosts_that_are_one_machine_are_said_to_be() -> None:
    sample = across_sample(["a", "b"], 1000.0)
    one = [dataclasses.replace(e, machine="machine-s") for e in sample.topology.generators]
    topology = dataclasses.replace(sample.topology, generators=one)
    found = section(report_of(make_run(), [dataclasses.replace(sample, topology=topology)]))
    assert found is not None
    assert any("share its CPUs" in note for note in found.notes)


# What a user may ask for.


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("s", "", "local:2", False), "go together"),
        (("s", "a", "", False), "go together"),
        (("s", "a,s", "local:2", False), "s cannot be the server's host and drive its load"),
        (("s", "a", "local:2", True), "each has its own"),
    ],
)
def test_roles_that_cannot_be_are_refused(asked: tuple[str, str, str, bool], says: str) -> None:
    with pytest.raises(RolesError, match=says):
        roles_named(*asked)


def test_roles_are_named_by_hosts() -> None:
    assert roles_named("", "", "", True) is None
    assert roles_named("s", "a,b", "local:3", False) == Roles("s", ("a", "b"))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("pending", ""),
        ("finished", "its process ended with 1"),
        ("error", "its worker says KilledWorker: gone"),
        ("lost", "its worker was lost"),
        ("cancelled", "its worker was lost"),
    ],
)
def test_what_becomes_of_a_task_is_said_of_its_host(status: str, says: str) -> None:
    class Future:
        def result(self) -> str:
            return "its process ended with 1"

        def exception(self) -> Exception:
            return RuntimeError("KilledWorker: gone")

    future = Future()
    future.status = status  # type: ignore[attr-defined]  # a made-up one
    assert Task(future).trouble() == says


@pytest.mark.parametrize("asked", ["local:", "local:0", "local:65", "local:x", "http://a:1", "a:1"])
def test_what_names_no_cluster_is_refused(asked: str) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with pytest.raises(NoSuchHostError, match="is not of the form"), cluster(asked):
        pass
