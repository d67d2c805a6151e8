"""Pairs of servers side by side: both are what they should be, and each fault has its side."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from bench.gate.rounds import ECHO_64
from bench.gate.worktree import copy_servers
from bench.measure.pairs import Shape, SideBySide, turns
from bench.measure.placement import allowed_cpus, place
from bench.plan.order import cells
from reports.gate.verdicts import GATE_METRICS, Pair
from servers.catalog import find
from tests.conftest import ROOT

SHORT = Shape(slices=2, slice_seconds=0.02, warm_up_seconds=0.02)
ECHO_ANSWER = "return pack_header(len(body), ECHO_ANSWER"
CELL = cells([find("coroutine")], [ECHO_64])[0]


def an_order() -> Random:
    return Random(1)  # noqa: S311  # an order to be repeated, not a secret


def measured(base: Path, head: Path) -> Pair:
    conditions = SideBySide(place("same", allowed_cpus()), SHORT)
    return conditions.measure(CELL, base, head, block=1, rng=an_order())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A tree of our servers to be changed."""
    copy_servers(ROOT, tmp_path)
    return tmp_path


def change(tree: Path, file: str, before: str, after: str) -> None:
    path = tree / "servers" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_a_pair_has_every_metric_slice_by_slice_of_both_sides() -> None:
    pair = measured(ROOT, ROOT)
    assert pair.failure == ""
    assert {name: len(slices) for name, slices in pair.figures.items()} == (
        dict.fromkeys(GATE_METRICS, SHORT.slices) | {"pss": 1}
    )
    assert all(value > 0 for slices in pair.figures.values() for both in slices for value in both)
    assert (pair.base_errors, pair.head_errors) == ({}, {})
    assert Pair.from_json(json.loads(json.dumps(pair.to_json()))) == pair


def test_each_side_runs_the_servers_of_its_own_tree(copy: Path) -> None:
    change(copy, "models/coroutine.py", "    ready()", "    held = b'x' * 2**26\n    ready()")
    there, back = (measured(*trees).figures["pss"][0] for trees in ((ROOT, copy), (copy, ROOT)))
    assert there[1] - there[0] > 60
    assert back[0] - back[1] > 60


@pytest.mark.parametrize("side", ["base", "head"])
def test_a_server_that_does_not_start_is_its_sides_failure(copy: Path, side: str) -> None:
    change(copy, "models/coroutine.py", "ready()", "raise RuntimeError('broken')")
    pair = measured(copy, ROOT) if side == "base" else measured(ROOT, copy)
    assert pair.failed == side
    assert "broken" in pair.failure
    assert pair.figures == {}


def test_a_server_that_answers_only_once_gives_nothing_to_judge(copy: Path) -> None:
    slow = "__import__('time').sleep(body != b'ready?' and 0.1)\n        "
    change(copy, "service.py", ECHO_ANSWER, slow + ECHO_ANSWER)
    pair = measured(ROOT, copy)
    assert pair.failed == "head"
    assert "no answer" in pair.failure


def test_wrong_answers_are_counted_on_the_side_that_gave_them(copy: Path) -> None:
    # Every 64th answer, and never the one that says that the server is ready.
    seldom = (
        "Session.asked = getattr(Session, 'asked', 0) + 1\n        "
        "body = body if Session.asked % 64 or body == b'ready?' else body[::-1]\n        "
    )
    change(copy, "service.py", ECHO_ANSWER, seldom + ECHO_ANSWER)
    pair = measured(copy, ROOT)
    assert pair.base_errors["mismatch"] > 0
    assert pair.head_errors == {}


def test_a_server_whose_answers_are_all_wrong_is_said_to_be(copy: Path) -> None:
    wrong = "body = body if body == b'ready?' else body[::-1]\n        "
    change(copy, "service.py", ECHO_ANSWER, wrong + ECHO_ANSWER)
    pair = measured(ROOT, copy)
    assert pair.failed == "head"
    assert "mismatch" in pair.failure


def test_turns_go_forth_and_back() -> None:
    orders = [tuple(turn) for turn in turns(["base", "head"], 4, an_order())]
    assert orders[0] == orders[2]
    assert orders[1] == orders[3] == orders[0][::-1]


def test_which_side_goes_first_is_drawn() -> None:
    rng = an_order()
    assert len({tuple(next(turns(["base", "head"], 1, rng))) for _ in range(20)}) == 2
