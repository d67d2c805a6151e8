"""Shares of a capacity become rates; ladders stop in time; precision knows when to stop. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.plan.ladder import Climb, Limits, predicted, shortfall
from bench.plan.order import PlannedCell, PlannedTrial, cells, endless, order
from bench.plan.precision import Precision, QuantityError, seconds, share, widest
from bench.plan.rates import capacity, left_out, probes, resolve
from bench.plan.scenarios import STUDIES
from reports.record import Sample
from reports.tally import Tally
from servers.catalog import find
from tests.runs import changed, make_sample, starved

MODELS = [find("thread"), find("asyncio"), find("serial")]
GIB = 2**30


def capacities_of(paired: Sequence[PlannedCell]) -> dict[PlannedCell, float]:
    speeds = {"thread": 40_000.0, "asyncio": 30_000.0, "serial": 0.0}
    halved = {"same": 0.5}
    return {
        probe: speeds[probe.model.name] * halved.get(probe.scenario.serving.placement, 1.0)
        for probe in probes(paired)
    }


def test_a_fixed_rate_is_a_share_of_the_slowest_model_at_its_slowest_placement() -> None:
    paired = cells(MODELS, STUDIES["rate"])
    resolved = resolve(paired, capacities_of(paired))
    assert {(cell.scenario.share, cell.scenario.load.rate) for cell in resolved} == {
        (0.25, 3_800.0),  # of 15,000, to two digits
        (0.5, 7_500.0),
    }
    assert {cell.scenario.serving.placement for cell in resolved} == {"split", "same"}


def test_a_curve_runs_up_to_and_over_each_models_own_capacity() -> None:
    paired = cells(MODELS, STUDIES["curve"])
    resolved = resolve(paired, capacities_of(paired))
    rates = [cell.scenario.load.rate for cell in resolved if cell.model.name == "thread"]
    assert len(rates) == 8
    assert (min(rates), max(rates)) == (4_000.0, 48_000.0)


def test_each_load_is_probed_once_and_a_model_that_starves_connections_is_left_out() -> None:
    paired = cells(MODELS, STUDIES["rate"])
    found = capacities_of(paired)
    assert len(found) == 6  # three models, two placements
    assert not any(probe.scenario.load.rate or probe.scenario.share for probe in found)
    assert "serial" not in {cell.model.name for cell in resolve(paired, found)}
    assert [each.sentence for each in left_out(found)] == [
        "serial is left out of rate: it does not serve every connection"
    ]


def test_a_capacity_is_what_a_probe_served_to_all() -> None:
    sample = make_sample("echo", "thread")
    assert capacity(sample) == pytest.approx(sample.tally.requests / sample.tally.seconds)
    assert capacity(starved(sample)) == 0.0
    assert capacity(changed(sample, seconds=0.0, requests=0)) == 0.0


RUNGS = STUDIES["connections"]
LIMITS = Limits(memory_bytes=20 * GIB, descriptors=20_000, tasks=100_000, maps=65_530)


def rung(index: int, loaded: int, stopped: str = "") -> tuple[PlannedTrial, Sample]:
    trial = PlannedTrial(PlannedCell(find("process"), RUNGS[index], 0), block=1)
    sample = changed(
        make_sample("echo", "process"),
        pss_idle_bytes=GIB // 100,
        pss_loaded_bytes=loaded,
        stopped=stopped,
    )
    return trial, sample


def test_the_next_rung_is_predicted_from_the_last_two() -> None:
    assert predicted([(10, 20), (100, 110), (1_000, 1_010)], 10_000) == 10_010


def test_a_model_is_stopped_before_it_takes_a_quarter_of_the_memory() -> None:
    climb = Climb(LIMITS)
    for index, loaded in enumerate((GIB // 50, GIB // 10, GIB)):
        trial, sample = rung(index, loaded)
        assert climb.refusal(trial) == ""
        climb.climbed(trial, sample)
    last, _ = rung(3, 0)
    assert climb.refusal(last) == (
        "stopped at 1,000 idle connections: 10,000 would take 10.0 GiB,"
        " and a quarter of this machine's memory is 5.0 GiB"
    )
    assert climb.refusal(replace(last, block=2)) == ""  # a block begins from below


def climbed_to(limits: Limits, index: int, *, processes: int = 1, **taken: int) -> str:
    """Return what is said of the rung `index` once the two below took so much for 1,000."""
    climb = Climb(limits)
    for below in (index - 2, index - 1):
        trial, sample = rung(below, GIB // 50)
        thousands = trial.cell.scenario.load.idle_connections / 1_000
        scaled = {name: int(each * thousands) for name, each in taken.items()}
        climb.climbed(trial, changed(sample, processes=processes, **scaled))
    return climb.refusal(rung(index, 0)[0])


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"tasks": 9_999}, "10,000 threads, and this machine may have 9,999"),
        ({"maps": 1_999}, "20,000 areas of memory for the stacks of its threads"),
    ],
)
def test_a_model_is_stopped_before_it_runs_out_of_threads_or_of_room_for_their_stacks(
    limits: dict[str, int], words: str
) -> None:
    assert climbed_to(LIMITS, 3, threads=1_000) == ""
    said = climbed_to(LIMITS._replace(**limits), 3, threads=1_000)
    assert said.startswith("stopped at 1,000 idle connections: 10,000 would take ")
    assert words in said


def test_each_process_of_a_server_has_descriptors_of_its_own() -> None:
    tight = LIMITS._replace(descriptors=10_100)
    alone = climbed_to(tight, 3, descriptors=1_020)
    assert "10,200 descriptors, and its processes may have 10,100" in alone
    assert climbed_to(tight, 3, descriptors=1_020, processes=2) == ""


def test_a_rung_that_a_process_of_the_engine_could_not_hold_is_not_tried() -> None:
    assert Climb(LIMITS._replace(descriptors=1_024)).refusal(rung(2, 0)[0]) == (
        "not tried: a process of the load engine would hold 1,016 connections, and may have 1,024"
        " descriptors here (ulimit -Hn)"
    )


def test_after_a_rung_that_did_not_hold_the_next_is_not_tried_and_says_why() -> None:
    climb = Climb(LIMITS)
    climb.climbed(*rung(1, GIB // 50, stopped="52 of 100 idle connections were served"))
    assert climb.refusal(rung(2, 0)[0]) == (
        "not tried: at 100 idle connections 52 of 100 idle connections were served"
    )


def test_a_rung_lacks_what_was_not_served_also_when_others_gave_up_for_it() -> None:
    load = RUNGS[1].load

    def lacks(idle: int, busy: int, timeouts: int) -> str:
        served = [1] * busy + [0] * (16 - busy)
        errors = {"timeout": timeouts}
        return shortfall(
            load, Tally(idle_served=idle, requests_per_connection=served, errors=errors)
        )

    assert lacks(100, 16, 0) == ""
    assert lacks(48, 16, 0) == "48 of 100 idle connections were served"
    assert lacks(100, 1, 0) == "1 of 16 busy connections were served"
    assert lacks(100, 16, 52) == "48 of 100 idle connections at first try"


def test_a_ladder_is_climbed_from_below_in_every_block_and_nothing_else_is_sorted() -> None:
    paired = cells(MODELS, [*RUNGS, *STUDIES["backlog"]])
    for block in (1, 2):
        trials = [trial.cell for trial in order(paired, 2, seed=3) if trial.block == block]
        for model in MODELS:
            idle = [
                cell.scenario.load.idle_connections
                for cell in trials
                if cell.model is model and cell.scenario.load.idle_connections
            ]
            assert idle == [10, 100, 1_000, 10_000]
        assert len(trials) == len(set(trials)) == len(paired)
        assert trials != paired


def test_quantities_are_read_with_their_units() -> None:
    assert (share("5%"), share("0.5%")) == (0.05, 0.005)
    assert (seconds("10m"), seconds("90s"), seconds("1.5h")) == (600.0, 90.0, 5_400.0)
    for text in ("5", "0%", "101%", "-1%"):
        with pytest.raises(QuantityError, match="percentage"):
            share(text)
    for text in ("10", "0s", "10 days"):
        with pytest.raises(QuantityError, match="duration"):
            seconds(text)


def samples_of(block: int, spread: float) -> Sample:
    """A trial whose throughput is off by `spread` in every second block."""
    sample = make_sample("echo", "thread", block)
    requests = round(30_000 * (1 + spread * (-1) ** block))
    return changed(sample, requests=requests, requests_per_connection=[1] * 64)


def precise(goal: float, budget: float, spreads: Sequence[float]) -> tuple[int, str, int]:
    """Run blocks of a second each; returns how many, the verdict, and trials that were added."""
    done: list[Sample] = []
    added: list[int] = []
    precision = Precision(goal, budget, lambda: float(len(done)))
    blocks = endless(cells([find("thread")], [STUDIES["backlog"][0]]), seed=1)
    done.extend(  # one by one: what has been done so far is what the precision looks at
        samples_of(trial.block, spreads[min(trial.block, len(spreads)) - 1])
        for block in precision.blocks(blocks, 2, done, added.append)
        for trial in block
    )
    return len(done), precision.verdict, sum(added)


def test_blocks_are_added_until_the_interval_is_narrow_enough() -> None:
    blocks, verdict, added = precise(0.05, 1_000.0, [0.01])
    assert (blocks, added) == (2, 0)
    assert verdict.startswith("the precision of 5.0% was reached: after 2 blocks")
    # One wild block: the range holds it in until the bootstrap, from eight trials on, does not.
    blocks, verdict, added = precise(0.05, 1_000.0, [0.3, 0.01])
    assert blocks > 2
    assert added == blocks - 2
    assert "was reached" in verdict


def test_the_budget_ends_a_run_that_stays_noisy_and_says_which_cell_is_at_fault() -> None:
    blocks, verdict, _ = precise(0.05, 6.5, [0.4])
    assert blocks == 6
    assert verdict.startswith("the budget of 6.5 s is spent: after 6 blocks")
    assert "echo thread" in verdict


def test_cells_that_are_not_ranked_cannot_hold_a_run_up() -> None:
    assert widest([starved(samples_of(1, 0.4)), starved(samples_of(2, 0.4))]).share == 0.0
