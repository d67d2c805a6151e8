"""The plan of a run: pure, so everything about it is shown by values."""

from __future__ import annotations

from collections import Counter

from bench.plan.order import cells, order
from bench.plan.scenarios import SCENARIOS, find_profile
from servers.catalog import MODELS, find, over

TCP = over("tcp")
STANDARD = find_profile("standard")


def test_the_standard_profile_is_every_model_x_6_scenarios_and_3_models_placed_anew_x_5() -> None:
    trials = order(cells(TCP, STANDARD.scenarios), STANDARD.blocks, seed=1)
    assert len(trials) == (len(TCP) * 6 + 3) * 5


def test_what_depends_on_placement_is_run_on_one_cpu_and_on_two() -> None:
    placements = {
        (cell.model.name, cell.scenario.serving.placement)
        for cell in cells(TCP, STANDARD.scenarios)
        if cell.scenario.name == "echo"
    }
    both = {model for model, placement in placements if placement == "free"}
    assert both == {"thread", "thread-pool", "coroutine"}
    assert {(model, "split") for model in both} <= placements


def test_every_block_runs_every_cell_once() -> None:
    paired = cells(TCP, STANDARD.scenarios)
    trials = order(paired, 5, seed=7)
    assert [trial.block for trial in trials] == sorted(trial.block for trial in trials)
    assert Counter((trial.block, trial.cell) for trial in trials) == Counter(
        (block, cell) for block in range(1, 6) for cell in paired
    )


def test_the_order_differs_between_blocks_and_between_seeds_and_repeats_with_the_seed() -> None:
    paired = cells(TCP, STANDARD.scenarios)
    trials = order(paired, 2, seed=7)
    first, second = trials[: len(paired)], trials[len(paired) :]
    assert [trial.cell for trial in first] != [trial.cell for trial in second]
    assert order(paired, 2, seed=8) != trials
    assert order(paired, 2, seed=7) == trials


def test_only_pools_have_workers_as_their_row_or_the_user_or_the_level_says() -> None:
    echo = SCENARIOS["echo"]
    models = [find("thread"), find("thread-pool")]
    assert [cell.workers for cell in cells(models, [echo])] == [0, find("thread-pool").workers]
    assert [cell.workers for cell in cells(models, [echo], workers=4)] == [0, 4]


def test_a_load_over_tcp_is_no_cell_of_a_model_of_datagrams_and_the_other_way_round() -> None:
    echo = SCENARIOS["echo"]
    datagrams = echo.loaded(transport="udp")
    for model in MODELS:
        reached = [cell.scenario for cell in cells([model], [echo, datagrams])]
        assert reached == [echo if model.transport == "tcp" else datagrams]


def test_a_level_about_pools_is_run_by_pools_only() -> None:
    levels = [row for row in find_profile("full").scenarios if row.serving.workers]
    paired = cells(TCP, levels, workers=4)
    assert {cell.model for cell in paired} == {model for model in TCP if model.workers}
    assert {cell.workers for cell in paired} == {8}
