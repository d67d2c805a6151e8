"""The table of workloads holds what docs/method.md says, and its rows can be told apart."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.measure.placement import PLACEMENTS
from bench.plan.scenario import ECHO
from bench.plan.scenarios import (
    FILES,
    LEVELS,
    PROFILES,
    SCENARIOS,
    STUDIES,
    Profile,
    Scenario,
    UnknownNameError,
    find_profile,
    find_scenario,
)
from bench.plan.summary import parameters
from clients.load import AimedLoad


def test_the_table_holds_the_six_workloads_in_order() -> None:
    assert list(SCENARIOS) == ["echo", "churn", "sessions", "compute", "wait", "bulk"]


@pytest.mark.parametrize(
    "scenario", [*SCENARIOS.values(), *FILES.values(), *LEVELS], ids=lambda row: row.level
)
def test_every_row_is_a_load_that_the_engine_accepts_and_a_known_placement(
    scenario: Scenario,
) -> None:
    AimedLoad.at("127.0.0.1", 1, scenario.load)
    assert scenario.serving.placement in PLACEMENTS


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda row: row.name)
def test_no_two_rows_of_a_profile_read_the_same(profile: Profile) -> None:
    rows = Counter((row.name, row.level) for row in profile.scenarios)
    assert max(rows.values()) == 1


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("echo", "64 connections, 1 KiB"),
        ("churn", "16 connections, 1 request each, 64 B"),
        ("sessions", "64 connections, 20 requests each, 1 KiB"),
        ("compute", "8 connections, 75,000 rounds, free"),
        ("wait", "64 connections, 20 ms, free"),
        ("bulk", "8 connections, 256 KiB"),
        ("file-get", "16 connections, files of 1 MiB"),
        ("file-put", "16 connections, files of 1 MiB"),
    ],
)
def test_a_level_says_the_load_in_words(name: str, level: str) -> None:
    assert find_scenario(name).level == level


def test_full_sweeps_connections_sizes_placement_and_pools() -> None:
    levels = {(row.name, row.level) for row in find_profile("full").scenarios}
    assert {
        ("echo", "1 connection, 1 KiB"),
        ("echo", "1,000 connections, 1 KiB"),
        ("echo", "64 connections, 64 B"),
        ("echo", "64 connections, 16 KiB"),
        ("echo", "64 connections, 1 KiB, free"),
        ("wait", "64 connections, 20 ms, free, 8 workers"),
    } <= levels


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown scenario 'ecko': did you mean 'echo'"):
        find_scenario("ecko")
    with pytest.raises(UnknownNameError, match="did you mean 'standard'"):
        find_profile("standart")


def test_a_name_like_no_other_is_answered_with_the_list() -> None:
    with pytest.raises(UnknownNameError, match="there are quick, standard, full, files"):
        find_profile("zzz")


def test_narrowing_keeps_the_levels_of_a_scenario_and_adds_those_a_profile_lacks() -> None:
    echo, churn = find_scenario("echo"), find_scenario("churn")
    full = find_profile("full").narrowed([echo], None, None)
    assert {row.name for row in full.scenarios} == {"echo"}
    assert len(full.scenarios) > 1
    quick = find_profile("quick").narrowed([churn], None, None)
    assert quick.scenarios == (churn,)


def test_narrowing_by_nothing_changes_nothing() -> None:
    standard = find_profile("standard")
    assert standard.narrowed([], None, None) == standard
    assert standard.narrowed([], 2, 0.1).blocks == 2


def test_every_study_has_a_profile_and_comes_whole_when_it_is_named() -> None:
    for name, rows in STUDIES.items():
        assert find_profile(name).scenarios == rows
        assert find_scenario(name) == rows[0]
        assert find_profile("quick").narrowed([find_scenario(name)], None, None).scenarios == rows


def test_a_study_says_its_load_in_words() -> None:
    words = {name: rows[0].level for name, rows in STUDIES.items()}
    assert words == {
        "rate": "64 connections, 1 KiB, 25% of the slowest model's capacity",
        "curve": "64 connections, 1 KiB, 10% of its own capacity",
        "connections": "16 connections, 64 B, 10 idle",
        "backlog": "256 connections, 64 B, backlog 5",
        "connection-cost": (
            "16 connections, 1 request each, 64 B, 50% of the slowest model's capacity"
        ),
        "scaling": "1 connection, 1 KiB",
        "company": "8 connections, 64 B, 200/s",
        "cores": "32 connections, 75,000 rounds, free, server on 1 CPU",
        "idle-ladder": "16 connections, 64 B, 100 idle",
        "memory": "8 connections, 1 KiB",
        "udp-loss": "64 flows, 64 B, 5,000/s, receive buffer 8,192",
        "udp-size": "2 flows, 64 B",
    }
    assert STUDIES["company"][-1].level == "8 connections, 64 B, 200/s, company of 8"


def test_no_process_of_the_engine_holds_more_connections_than_20_000_descriptors_allow() -> None:
    for row in STUDIES["idle-ladder"]:
        load = row.load
        assert load.connections + load.idle_connections / load.engine_processes < 19_900
    assert STUDIES["idle-ladder"][-1].load.idle_connections == 100_000


def test_a_p99_of_company_has_ten_requests_above_it_in_every_trial() -> None:
    profile = find_profile("company")
    for row in profile.scenarios:
        assert row.load.rate * profile.window_seconds / 100 > 10


def test_only_loads_that_nothing_else_limits_have_a_ceiling() -> None:
    saturating = {row.name for row in SCENARIOS.values() if row.saturates}
    assert saturating == {"echo", "churn", "sessions", "bulk"}
    saturating = {row.name for rows in STUDIES.values() for row in rows if row.saturates}
    assert saturating == {"scaling", "memory", "udp-size"}
    # The null server is reached over loopback.
    assert not any(row.saturates for row in STUDIES["udp-size"] if row.serving.link)


def test_one_placement_for_all_makes_rows_that_differ_in_nothing_else_one() -> None:
    rate = find_profile("rate").placed("same")
    assert len(rate.scenarios) == 2
    assert {row.serving.placement for row in rate.scenarios} == {"same"}
    standard = find_profile("standard").placed("free")
    assert [row for row in standard.scenarios if row.name == "echo"] == [
        SCENARIOS["echo"].served(placement="free")
    ]


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([ECHO], "64 connections, 1 KiB"),
        (
            [ECHO.loaded(connections=many) for many in (1, 4, 1_000)],
            "1, 4 or 1,000 connections, 1 KiB",
        ),
        ([ECHO, ECHO.served(backlog=5)], "64 connections, 1 KiB, some backlog 5"),
        ([ECHO, ECHO.served(placement="free")], "64 connections, 1 KiB"),
    ],
    ids=["one level", "a number that differs", "what some have", "the placement is told elsewhere"],
)
def test_the_levels_of_a_scenario_are_told_as_one(levels: list[Scenario], words: str) -> None:
    assert parameters(levels) == words
