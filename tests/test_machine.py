"""What is said about the machine: facts as they are, findings that follow from them alone."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import socket
from pathlib import Path

import pytest

from bench.check.doctor import Facts, _cpu_quota, examine, findings
from bench.measure.machine import PROJECT, fingerprint
from bench.measure.noise import CpuTicks, Noise, noise
from bench.measure.placement import PLACEMENTS, pinned, place

QUIET = Facts(
    cpus=4,
    governors=("performance",) * 4,
    load=0.1,
    descriptors=20_000,
    somaxconn=4_096,
    cpu_quota=None,
    steal=0.0,
    busy=(),
    ports=28_232,
    tcp_tw_reuse=2,
    io_uring_disabled=0,
    wake_up_ns={"same": 5_000.0, "split": 9_000.0},
)


def test_the_fingerprint_is_json_and_names_neither_host_nor_path() -> None:
    text = json.dumps(fingerprint())
    assert socket.gethostname() not in json.loads(text).values()
    assert str(PROJECT) not in text
    assert platform.python_version() in text


@pytest.mark.parametrize(
    ("setting", "words"), [(0, "allows all"), (2, "allows nobody"), (None, "does not say")]
)
def test_doctor_says_whether_the_kernel_would_allow_io_uring(
    setting: int | None, words: str
) -> None:
    facts = dataclasses.replace(QUIET, io_uring_disabled=setting)
    [said] = [finding for finding in findings(facts) if finding.topic == "io_uring"]
    assert said.sentence == f"io_uring: the kernel {words}"
    assert said.severity == "good"


def test_a_quiet_machine_has_only_good_findings() -> None:
    assert {finding.severity for finding in findings(QUIET)} == {"good"}


def test_a_machine_that_does_not_say_is_not_blamed() -> None:
    silent = dataclasses.replace(QUIET, governors=(), somaxconn=None, ports=None, tcp_tw_reuse=None)
    assert {finding.severity for finding in findings(silent)} == {"good"}


@pytest.mark.parametrize(
    ("topic", "severity", "fact"),
    [
        ("cores", "warning", {"cpus": 1}),
        ("governor", "warning", {"governors": ("performance", "powersave")}),
        ("load", "warning", {"load": 1.5}),
        ("busy processes", "warning", {"busy": (("cc1", 0.9),)}),
        ("steal", "warning", {"steal": 0.05}),
        ("CPU quota", "warning", {"cpu_quota": 1.5}),
        ("descriptors", "warning", {"descriptors": 1_024}),
        ("backlog", "note", {"somaxconn": 128}),
        ("ports", "note", {"ports": 1_000}),
        ("port reuse", "note", {"tcp_tw_reuse": 0}),
        ("wake-up", "note", {"wake_up_ns": {"same": 5_000.0, "split": 98_000.0}}),
    ],
)
def test_each_trouble_is_found_alone_and_comes_with_advice(
    topic: str, severity: str, fact: dict[str, object]
) -> None:
    troubled = findings(dataclasses.replace(QUIET, **fact))  # type: ignore[arg-type]
    found = [finding for finding in troubled if finding.severity != "good"]
    assert [(finding.topic, finding.severity) for finding in found] == [(topic, severity)]
    assert found[0].advice


def test_this_machine_can_be_examined() -> None:
    facts = examine(seconds=0.01)
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert len(findings(facts)) == len(findings(QUIET))


@pytest.mark.parametrize(
    ("files", "membership", "quota"),
    [
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"box/cpu.max": "50000 100000"}, "0::/box", 0.5),
        ({"cpu.max": "50000 100000"}, "0::/not/visible/from/inside", 0.5),
        (
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/\n2:memory:/",
            2.0,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "3:cpu:/",
            None,
        ),
        ({}, "", None),
    ],
)
def test_the_quota_is_read_from_either_version_of_cgroups(
    tmp_path: Path, files: dict[str, str], membership: str, quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert _cpu_quota(tmp_path, membership) == quota


def test_noise_is_what_neither_side_used_and_what_the_hypervisor_took() -> None:
    before = CpuTicks.parse("cpu  100 0 50 1000 0 0 0 10 0 0")
    after = CpuTicks.parse("cpu  160 5 60 1110 5 3 2 15 0 0")
    # 80 ticks busy, of which 0.5 s were ours; 115 idle; 5 stolen.
    assert noise(before, after, own_cpu_seconds=0.5) == Noise(foreign=30 / 200, steal=5 / 200)


def test_noise_is_never_negative_nor_undefined() -> None:
    ticks = CpuTicks(busy=1, idle=1, steal=0)
    assert noise(ticks, ticks, own_cpu_seconds=1.0) == Noise(foreign=0.0, steal=0.0)


@pytest.mark.parametrize(
    ("placement", "cpus", "server", "client"),
    [
        ("split", [0, 1], [0], [1]),
        ("split", [3, 1, 2], [1], [2, 3]),
        ("split", [4, 5, 6, 7], [4, 5], [6, 7]),
        ("split", [2], [2], [2]),
        ("same", [0, 1], [0], [0]),
        ("free", [0, 1], [0, 1], [0, 1]),
    ],
)
def test_a_placement_deals_out_the_allowed_cpus(
    placement: str, cpus: list[int], server: list[int], client: list[int]
) -> None:
    assert place(placement, cpus) == (server, client)


def test_every_placement_of_measure_md_is_there() -> None:
    assert set(PLACEMENTS) == {"split", "same", "free"}


def test_pinning_lasts_as_long_as_its_context() -> None:
    before = os.sched_getaffinity(0)
    with pinned([min(before)]):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_pinning_is_undone_after_an_error() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned([min(before)]):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before
