"""The verdict rules of the experiments on the suite itself, on figures that were made up."""

from __future__ import annotations

import pytest

from bench.experiments.instrument import (
    engine_cost,
    file_cost,
    many_connections,
    receive_buffer,
    reuseport,
)
from tests.experiments.made_up import Figures, judged, one_figure, verdict

TRIP = "one round trip"
OWN = "its CPU, of the null server's"
SERVER = "to the first answer"
AIMED = {(each.case, file_cost.RATIO): 1.0 for each in file_cost.COMPARISONS}
FIRST = next(iter(AIMED))
MANY = (f"1,024, {reuseport.OWN}", "Jain's index")
FEW = (f"8, {reuseport.OWN}", "Jain's index")

CASES = [
    *judged(
        "start",
        one_figure(SERVER, {"serial": 1, "thread": 1.1, "asyncio": 2}),
        ("refuted", one_figure(SERVER, {"thread": 0.5})),
        ("untold", one_figure(SERVER, {"thread": (0.5, 1.1)})),
    ),
    *judged(
        "round-trip",
        one_figure(TRIP, {"thread": 1, "asyncio": 2}),
        ("refuted", one_figure(TRIP, {"asyncio": 0.5})),
        ("untold", one_figure(TRIP, {"asyncio": (0.5, 2)})),
    ),
    *judged(
        "engine-cost",
        one_figure(OWN, {engine_cost.ENGINE: 1.1, engine_cost.PLAIN: 1.4}),
        ("refuted", one_figure(OWN, {engine_cost.ENGINE: 3})),
        ("refuted", one_figure(OWN, {engine_cost.PLAIN: 0.9})),
        ("untold", one_figure(OWN, {engine_cost.ENGINE: (1, 3)})),
    ),
    *judged(
        "file-cost",
        AIMED,
        ("refuted", {FIRST: 0.1}),
        ("untold", {FIRST: (0.1, 1)}),
    ),
    *judged(
        "file-memory",
        {("thread", "GET, hashing"): 1, ("thread", "GET by the kernel"): 1, ("thread", "PUT"): 2},
        ("refuted", {("asyncio", "PUT"): 100}),
        ("untold", {("asyncio", "PUT"): (7, 100)}),
    ),
    *judged("fault-soak", {("problems", "found"): 0}, ("refuted", {("problems", "found"): 1})),
    *judged(
        "receive-buffer",
        one_figure(receive_buffer.CPU, {receive_buffer.BEFORE: 2, receive_buffer.AFTER: 1}),
        ("refuted", one_figure(receive_buffer.CPU, {receive_buffer.AFTER: 2})),
        ("untold", one_figure(receive_buffer.CPU, {receive_buffer.AFTER: (1, 2)})),
    ),
    *judged(
        "many-connections",
        {("10,000 connections", many_connections.OPEN): 1, ("10,000 connections", "errors"): 0},
        ("refuted", {("10,000 connections", many_connections.OPEN): 0.5}),
        ("refuted", {("10,000 connections", "errors"): 1}),
        ("untold", {("10,000 connections", many_connections.OPEN): (0.9, 1)}),
    ),
    *judged(
        "reuseport",
        {MANY: 0.99, FEW: 0.8},
        ("refuted", {MANY: 0.5}),
        ("refuted", {FEW: 1.0}),
        ("untold", {FEW: (0.7, 1.0)}),
    ),
]


@pytest.mark.parametrize(("name", "figures", "expected"), CASES)
def test_a_verdict_follows_from_the_figures(name: str, figures: Figures, expected: str) -> None:
    assert verdict(name, figures) == expected


def test_jain_s_index_is_1_for_all_alike_and_1_over_n_for_one_with_all() -> None:
    assert reuseport.jain([5, 5, 5, 5]) == 1
    assert reuseport.jain([20, 0, 0, 0]) == 0.25
