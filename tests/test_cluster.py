"""Blocks on the hosts of a cluster: `local:2`, one for all that does not need to end it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bench.cluster.hosts import Host, facts, fit, hosts_of, mixed
from bench.measure.launch import ROOT
from bench.plan.order import PlannedTrial, cells, endless
from bench.plan.scenarios import Profile, find_profile, find_scenario
from bench.verbs import hosts as verb
from servers.catalog import find
from tests.conftest import eventually

pytest.importorskip("distributed", reason="Dask distributed is not installed")

from bench.cluster.away import Away
from bench.cluster.connecting import ClusterError, connected

COMMAND = [sys.executable, "-m", "bench"]
RUN = ["run", "--models", "thread", "--scenarios", "echo", "--placement", "same"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with connected("local:2") as client:
        yield client


def address_of(client: Any) -> str:
    return str(client.scheduler.address)


def blocks_under(process: psutil.Process) -> list[psutil.Process]:
    """Return all that runs for blocks below a process: themselves, servers, engines."""
    found = []
    for child in process.children(recursive=True):
        try:
            if "bench.cluster.block" in child.cmdline():
                found += [child, *child.children(recursive=True)]
        except psutil.NoSuchProcess:  # it ended while we looked
            continue
    return found


def a_server_under(process: psutil.Process) -> list[psutil.Process]:
    """Return a block's processes once there is a server among them."""
    found: list[psutil.Process] = []

    def there() -> bool:
        found[:] = blocks_under(process)
        return len(found) > 1

    assert eventually(there)
    return found


def run_with(folder: Path, *words: str, cluster: str) -> subprocess.Popen[bytes]:
    command = [*COMMAND, *RUN, "--cluster", cluster, "--spread", "--results", str(folder), *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_hosts_are_listed_with_what_others_rely_on(cluster: Any) -> None:
    done = subprocess.run(
        [*COMMAND, "hosts", "--cluster", address_of(cluster), "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [host["name"] for host in found] == ["0", "1"]
    for host in found:
        assert {"name", "address", "fingerprint", "fit", "reason"} <= host.keys()
        assert (host["fit"], host["reason"]) == (True, "")
        assert host["fingerprint"]["kernel"]


def test_a_run_that_is_spread_writes_a_plain_run_folder_with_blocks_on_both_hosts(
    cluster: Any, tmp_path: Path
) -> None:
    words = ("--blocks", "2", "--window", "0.1", "--warm-up", "0.1")
    with run_with(tmp_path, *words, cluster=address_of(cluster)) as process:
        output, _ = process.communicate()
    assert process.returncode == 0, output.decode()
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir() and path.name != "latest"]
    assert {"run.jsonl", "summary.csv", "report.html"} <= {path.name for path in folder.iterdir()}
    trials = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    trials = trials[1:]  # the first is the run
    where = {(trial["block"], trial["host"]) for trial in trials}
    assert sorted(block for block, _ in where) == [1, 2]  # each went whole to one
    assert {host for _, host in where} == {"0", "1"}


@pytest.mark.parametrize("own", [True, False], ids=["own-cluster", "others-cluster"])
def test_nothing_is_left_5_s_after_a_conductor_was_killed(
    cluster: Any, tmp_path: Path, own: bool
) -> None:
    where = "local:2" if own else address_of(cluster)
    with run_with(tmp_path, "--window", "60", cluster=where) as process:
        conductor = psutil.Process(process.pid)
        above = conductor if own else psutil.Process()
        started = a_server_under(above)
        if own:
            started = conductor.children(recursive=True)
        process.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs(started, timeout=5)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []


def unlike(host: str, **said: Any) -> Host:
    machine = facts()["fingerprint"] | said
    return Host(
        name=host,
        address=f"tcp://{host}:1",
        machine=host,
        fingerprint=machine,
        versions={},
        roles=["block"],
        fit=True,
        reason="",
        clock_ahead_ns=0,
        clock_error_ns=0,
        round_trip_ns=0,
        idle_cpu_share=0.0,
        idle_switches_per_second=0.0,
        incarnation="",
    )


@pytest.mark.parametrize("fact", ["cpu", "kernel"])
def test_hosts_that_differ_are_not_in_one_rank(
    monkeypatch: pytest.MonkeyPatch, cluster: Any, fact: str
) -> None:
    hosts = [unlike("a"), unlike("b", **{fact: "another"})]
    assert mixed(hosts[:1] * 2) == ""
    monkeypatch.setattr("bench.cluster.hosts.hosts_of", lambda _client: hosts)
    words: list[str] = []
    with (
        pytest.raises(ClusterError, match="a and b differ") as caught,
        verb.placed(address_of(cluster), "", True, None, words.append),
    ):
        pytest.fail("it was let in")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("what", ["commit", "wire", "engine"])
def test_a_host_with_other_code_is_not_fit(what: str) -> None:
    ours = facts()["agreed"]
    assert fit(ours, ours) == ""
    assert "another, and here it is" in fit(ours | {what: "another"}, ours)


class Silent:
    """A client whose tasks finish and say nothing."""

    status = "running"

    def submit(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(status="finished")

    def cancel(self, _futures: Any) -> None: ...

    def register_plugin(self, _plugin: Any) -> None: ...

    def subscribe_topic(self, _topic: str, _handler: Callable[..., object]) -> None: ...


def short_blocks(seconds: float) -> tuple[Iterator[list[PlannedTrial]], Profile]:
    profile = find_profile("quick").narrowed([find_scenario("echo")], 2, seconds).placed("same")
    profile = dataclasses.replace(profile, ceiling_seconds=0.0)
    return endless(cells([find("thread")], profile.scenarios), seed=1), profile


def test_a_block_that_ends_without_a_word_is_a_failure_and_no_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.cluster.away.LOOK_SECONDS", 0.01)
    away = Away(Silent(), [unlike("a")], None, lambda _words: None)
    with pytest.raises(ClusterError, match="without a word"):
        away.look()
    blocks, profile = short_blocks(0.1)
    (sample,) = away.samples(iter([next(blocks)]), profile, "run")
    assert "without a word" in sample.failure


def test_a_worker_killed_in_a_trial_makes_a_failed_one_and_the_run_goes_on() -> None:
    with connected("local:2") as client:
        hosts = hosts_of(client)
        away = Away(client, hosts, None, lambda _words: None)
        blocks, profile = short_blocks(1.0)
        two = [next(blocks), next(blocks)]
        pids = client.run(os.getpid)
        asked: list[str] = []

        def kill() -> None:
            worker = psutil.Process(pids[hosts[0].address])
            a_server_under(worker)
            worker.kill()
            asked.append("killed")

        thread = threading.Thread(target=kill)
        thread.start()
        found = list(away.samples(iter(two), profile, "run"))
        thread.join()
    assert asked
    assert [(each.host, each.block) for each in found] == [("0", 1), ("1", 2)]
    assert "its worker died" in found[0].failure
    assert not found[1].failure
