"""Trials across hosts that are real: processes on this machine, and network namespaces on a switch.

The latter take root and iproute2; where there is none of it they are skipped, with the reason.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from bench.across import trial as across_trial
from bench.across.instants import Offset, instants
from bench.across.meeting import Invitation
from bench.across.namespaces import Lan, lan, reason_against
from bench.across.starting import Prefixed, Process
from bench.across.trial import Across, Roles
from bench.cluster.parts import cluster
from bench.measure.launch import ROOT
from bench.plan.order import PlannedCell, PlannedTrial
from bench.plan.scenarios import PROFILES, SCENARIOS
from reports.record import Sample
from servers.catalog import find

PROFILE = dataclasses.replace(
    PROFILES["quick"], window_seconds=0.5, warm_up_seconds=0.05, drain_seconds=0.3
)
LONG = dataclasses.replace(PROFILE, window_seconds=30.0)
ROLES = Roles("s", ("a", "b"))
LATER_SECONDS = 0.3
"""The lead of a start, and then how far into a window something happens to it."""
GONE_SECONDS = 5.0


def planned(generators: int = 2, network: str = "") -> PlannedTrial:
    echo = dataclasses.replace(SCENARIOS["echo"], generators=generators, network=network)
    return PlannedTrial(PlannedCell(find("thread"), echo.loaded(connections=8), 0), 1)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin after a moment, and give a silent host up after another."""
    monkeypatch.setattr(
        across_trial, "instants", lambda now, offsets: instants(now, offsets, LATER_SECONDS)
    )
    monkeypatch.setattr(across_trial, "MORE_SECONDS", 1.0)


def in_mid_window(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have something done when the window of the next trial has been open for a while."""

    def told(now: int, offsets: Sequence[Offset]) -> list[int]:
        threading.Timer(LATER_SECONDS * 2, do).start()
        return instants(now, offsets, LATER_SECONDS)

    monkeypatch.setattr(across_trial, "instants", told)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them have ended within the time that is promised."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_SECONDS)
    return not alive


class Known(Prefixed):
    """A starter that knows what it started."""

    started: dict[str, Process]

    def start(self, invitation: Invitation) -> Process:
        found = super().start(invitation)
        self.started[invitation.name] = found
        return found


def here() -> Known:
    starter = Known(dict.fromkeys("sab", ()))
    starter.started = {}
    return starter


def test_a_trial_over_two_processes_has_the_figures_of_any_other() -> None:
    sample = Across(here(), ROLES).measure(planned(), PROFILE, "a-run")
    assert (sample.failure, sum(sample.tally.errors.values())) == ("", 0)
    assert sample.tally.served == 8
    assert sample.tally.requests > 100
    assert sample.server_cpu_seconds > 0
    assert sample.pss_loaded_bytes > sample.pss_idle_bytes > 0
    assert sample.server["implementation"] == "cpython"
    assert sum(each.connections for each in sample.topology.generators) == 8
    whole = sum(each.answered.count for each in sample.topology.generators)
    assert sample.tally.answered.count == whole


def test_a_host_that_is_killed_in_mid_window_is_a_failed_trial_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starter = here()
    left: list[psutil.Process] = []
    others = set(psutil.Process().children(recursive=True))  # of tests before this one

    def kill() -> None:
        left.extend(set(psutil.Process().children(recursive=True)) - others)
        os.kill(starter.started["s"].pid, signal.SIGKILL)

    in_mid_window(monkeypatch, kill)
    sample = Across(starter, ROLES).measure(planned(0), PROFILE, "a-run")
    assert sample.failure.startswith("host s ")
    assert len(left) >= 3  # a part, its server, its generator
    assert gone(left)


CONDUCT = """
from tests.test_across_hosts import LONG, ROLES, Across, here, planned
Across(here(), ROLES).measure(planned(0), LONG, "a-run")
"""


def test_nothing_is_left_on_any_host_when_the_conductor_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", CONDUCT], cwd=ROOT) as conductor:
        root = psutil.Process(conductor.pid)
        deadline = time.monotonic() + 20
        while len(left := root.children(recursive=True)) < 3:
            assert conductor.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        conductor.kill()
    assert gone(left)


# Network namespaces.


@pytest.fixture(scope="module")
def net() -> Iterator[Lan]:
    if reason := reason_against():
        pytest.skip(reason)
    with lan(["c", "s", "a", "b"], clocks={"b": 5.0}) as hosts:
        yield hosts
        assert not pids(hosts)
    command = ["ip", "netns", "list"]
    left = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"tm{os.getpid()}-" not in left.stdout


def pids(net: Lan) -> list[str]:
    """Return the ids of the processes that run on any of the hosts."""
    found = []
    for name in net.names:
        command = ["ip", "netns", "pids", net.space(name)]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return found


def tried(net: Lan, trial: PlannedTrial, roles: Roles = ROLES) -> Sample:
    with net.within("c"):
        starter = Prefixed({name: net.prefix(name) for name in net.names})
        across = Across(starter, roles, net.address("c"))
        return across.measure(trial, PROFILE, "a-run")


def test_hosts_whose_clocks_are_five_seconds_apart_load_a_server_together(net: Lan) -> None:
    sample = tried(net, planned())
    assert sample.failure == ""
    one, other = sample.topology.generators
    assert other.clock_ahead_seconds - one.clock_ahead_seconds == pytest.approx(5.0, abs=0.1)
    assert sample.topology.overlap > 0.9  # without their offsets it were 0
    assert (one.mtu, other.mtu) == (1500, 1500)
    assert one.round_trip_ns >= one.round_trip_least_ns > 0
    assert sample.topology.address == net.address("s")
    assert len({one.address, other.address, sample.topology.address}) == 3
    assert not pids(net)


def test_a_shaped_link_is_what_limits_then(net: Lan) -> None:
    net.shape("s", 2)  # 2 Mbit/s: some 200 answers of 1 KiB a second
    try:
        sample = tried(net, planned(1, "2 Mbit/s"), Roles("s", ("a",)))
    finally:
        net.shape("s", 0)
    assert sample.failure == ""
    assert sample.topology.title == "a \u2192 s, 2 Mbit/s"
    # Beside the rate, what the bucket held at first.
    most_bytes = 2e6 / 8 * (PROFILE.window_seconds + 0.1) + 128 * 1024
    assert 0 < sample.tally.requests * 1024 < most_bytes


def test_a_cable_that_is_pulled_in_mid_window_is_a_failed_trial_and_nothing_is_left(
    net: Lan, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_mid_window(monkeypatch, lambda: net.cut("b"))
    try:
        sample = tried(net, planned())
    finally:
        net.mend("b")
    assert sample.failure.startswith("host b has said nothing for")
    assert not pids(net)


# Dask.


def test_a_worker_that_is_killed_in_mid_trial_is_a_failed_trial_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    left: list[psutil.Process] = []
    with cluster("local:2") as hosts:
        across = Across(hosts, Roles("0", ("1",)))
        assert across.measure(planned(1), PROFILE, "a-run").failure == ""
        worker = hosts.client.run(os.getpid)[hosts.hosts["1"]]

        def kill() -> None:
            left.extend(psutil.Process(worker).children(recursive=True))
            os.kill(worker, signal.SIGKILL)

        in_mid_window(monkeypatch, kill)
        sample = across.measure(planned(1), PROFILE, "a-run")
        assert sample.failure.startswith("host 1 has closed its connection")
    assert len(left) >= 2  # a part and its generator
    assert gone(left)
