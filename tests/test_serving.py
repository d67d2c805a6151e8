"""How a server is started: each field is told to the server, said in the level, and recorded."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.measure.launch import command
from bench.plan.order import PlannedCell
from bench.plan.scenario import ECHO
from reports.serving import USUAL, Serving
from servers.catalog import find
from tests.runs import changed, make_sample

OTHER: dict[type, Any] = {int: 1_024, float: 0.25, str: "veth"}
FIELDS = {each.name: OTHER[type(each.default)] for each in dataclasses.fields(Serving)}
SAID = {
    "backlog": "backlog 1,024",
    "receive_buffer": "receive buffer 1,024",
    "link": "over veth",
    "switch_seconds": "switch interval 250 ms",
    "placement": "veth",
    "workers": "1,024 workers",
    "cpus": "server on 1,024 CPUs",
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_said_in_the_level_and_stays_in_the_record(name: str) -> None:
    changes = {name: FIELDS[name]}
    assert ECHO.served(**changes).level == f"{ECHO.level}, {SAID[name]}"
    sample = changed(make_sample(), **changes)
    assert getattr(type(sample).from_json(sample.to_json()).serving, name) == FIELDS[name]


def test_what_goes_without_saying_is_not_said() -> None:
    assert USUAL.words == []
    assert Serving(workers=1, cpus=1).words == ["1 worker", "server on 1 CPU"]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("backlog", "--backlog"),
        ("receive_buffer", "--receive-buffer"),
        ("switch_seconds", "--switch-interval"),
        ("workers", "--workers"),
    ],
)
def test_an_option_is_on_the_servers_command_line_where_it_is_told(name: str, option: str) -> None:
    model = find("thread-pool")
    words = command(model, Serving(**{name: FIELDS[name]}))
    assert words[words.index(option) + 1] == str(FIELDS[name])
    assert option not in command(model, USUAL)


def test_a_cells_server_is_started_as_its_scenario_says_with_the_models_own_workers() -> None:
    cell = PlannedCell(find("thread-pool"), ECHO.served(backlog=5), workers=7)
    assert cell.serving == Serving(backlog=5, workers=7)
