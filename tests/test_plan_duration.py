"""The time of a plan, said before it starts."""

from __future__ import annotations

import dataclasses

import pytest

from bench.plan.duration import about, plan_seconds
from bench.plan.order import cells
from bench.plan.scenarios import SCENARIOS, find_profile
from servers.catalog import find

QUICK = dataclasses.replace(find_profile("quick"), ceiling_seconds=0.0)
ECHO = SCENARIOS["echo"]
ONE = cells([find("thread")], [ECHO])
TWO = cells([find("thread"), find("asyncio")], [ECHO])


def test_a_plan_takes_as_long_as_all_of_its_trials() -> None:
    once = plan_seconds(ONE, QUICK)
    assert once > QUICK.warm_up_seconds + QUICK.window_seconds
    assert plan_seconds(TWO, QUICK) == pytest.approx(2 * once)
    assert plan_seconds(TWO, dataclasses.replace(QUICK, blocks=5)) == pytest.approx(10 * once)
    longer = dataclasses.replace(QUICK, window_seconds=QUICK.window_seconds + 3)
    assert plan_seconds(ONE, longer) == pytest.approx(once + 3)


def test_a_ceiling_is_counted_once_in_a_block_for_each_load_that_saturates() -> None:
    with_ceiling = dataclasses.replace(QUICK, ceiling_seconds=3.0, blocks=2)
    without = dataclasses.replace(with_ceiling, ceiling_seconds=0.0)
    several = plan_seconds(TWO, with_ceiling) - plan_seconds(TWO, without)
    alone = plan_seconds(ONE, with_ceiling) - plan_seconds(ONE, without)
    assert several == pytest.approx(alone)
    assert several > 2 * 3.0
    waiting = dataclasses.replace(ECHO, load=dataclasses.replace(ECHO.load, rate=100.0))
    assert not waiting.saturates
    fixed = cells([find("thread")], [waiting])
    assert plan_seconds(fixed, with_ceiling) == plan_seconds(fixed, without)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 s"),
        (44.4, "about 44 s"),
        (95, "about 2 minutes"),
        (1_500, "about 25 minutes"),
    ],
)
def test_it_is_said_in_a_unit_that_suits_it(seconds: float, words: str) -> None:
    assert about(seconds) == words
