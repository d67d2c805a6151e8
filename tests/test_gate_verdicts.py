"""The gate's statistics and verdicts, on pairs whose differences are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import permutation_test

from reports.gate.effects import (
    EXACT_PAIRS,
    LEAST_PAIRS,
    Effect,
    Limit,
    effect_of,
    hodges_lehmann,
    sign_flip_p,
)
from reports.gate.verdicts import (
    ERRORS,
    GATE_METRICS,
    LIMITS,
    GateReport,
    Outcome,
    Pair,
    Verdict,
    judge,
    stand,
)
from reports.key import CellKey

LIMIT = Limit(threshold=0.05, guard=0.10)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of this test's own: with one for all, the order of the tests would matter."""
    return np.random.default_rng(5)


def block(worse_by: float, noise: float = 0.01, pairs: int = 12) -> list[float]:
    """Return d of pairs that scatter evenly around a difference given as a share."""
    spread = np.linspace(-1, 1, pairs) * noise * math.sqrt(3)
    return list(math.log1p(worse_by) + spread)


def pair(block: int = 1, factors: dict[str, float] | None = None, **fields: Any) -> Pair:
    """Return a pair of equal sides, but for the factors by which figures of the head differ."""
    factors = factors or {}
    figures = {
        name: [
            (100.0, 100.0 * factors.get(name, 1.0) * (1 + 0.001 * number)) for number in (-1, 0, 1)
        ]
        for name in GATE_METRICS
    }
    values: dict[str, Any] = {
        "cell": CellKey("echo", "", "thread"), "placement": "same", "block": block,
        "started": "2026-11-23T18:30:00+00:00", "figures": figures,
    }  # fmt: skip
    return Pair(**(values | fields))


def by_metric(verdicts: Sequence[Verdict]) -> dict[str, Outcome]:
    return {verdict.metric: verdict.outcome for verdict in verdicts}


# Effects.


def test_hodges_lehmann_is_the_median_of_all_means_of_two(rng: np.random.Generator) -> None:
    d = rng.normal(size=9)
    means = [(d[i] + d[j]) / 2 for i in range(9) for j in range(i, 9)]
    assert hodges_lehmann(d) == pytest.approx(np.median(means))


def test_one_wild_pair_of_twelve_hardly_moves_the_estimate() -> None:
    steady = block(0.0)
    assert abs(effect_of([*steady[:-1], 5.0]).estimate) < 0.01


@pytest.mark.parametrize("pairs", [8, EXACT_PAIRS])
@pytest.mark.parametrize("shift", [0.0, 0.01, -0.02, 0.2])
def test_p_is_that_of_an_exact_permutation_test(
    pairs: int, shift: float, rng: np.random.Generator
) -> None:
    d = rng.normal(shift, 0.03, pairs)
    exact = permutation_test(
        (d,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**pairs,
    )
    assert sign_flip_p(d) == pytest.approx(exact.pvalue)


def test_p_of_more_pairs_is_drawn_and_never_nothing() -> None:
    assert 0 < sign_flip_p(np.full(24, 0.1)) < 0.001
    assert sign_flip_p(np.tile([0.01, -0.01], 12)) > 0.5


def test_a_block_is_long_enough_for_its_p_to_be_small(rng: np.random.Generator) -> None:
    assert sign_flip_p(np.full(LEAST_PAIRS, 0.1) + rng.normal(0, 0.001, LEAST_PAIRS)) < 0.01


def test_sides_that_do_not_differ_at_all_have_p_one() -> None:
    assert effect_of([0.0] * 12) == Effect(0.0, 0.0, 0.0, 1.0, 0.0, 12)


def test_turning_a_comparison_round_turns_its_effect_round(rng: np.random.Generator) -> None:
    d = list(rng.normal(0.03, 0.02, 12))
    there, back = effect_of(d), effect_of([-value for value in d])
    assert back.estimate == pytest.approx(-there.estimate)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert back.p == pytest.approx(there.p)


def test_the_interval_holds_the_truth_about_as_often_as_it_says(rng: np.random.Generator) -> None:
    reach = [effect_of(d)[1:3] for d in rng.normal(0.02, 0.03, (120, 12))]
    held = np.mean([low <= 0.02 <= high for low, high in reach])
    assert 0.89 <= held < 1


def test_the_smallest_effect_seen_is_suspected_about_four_times_of_five(
    rng: np.random.Generator,
) -> None:
    noise, threshold = 0.05, 0.02
    probe = Effect(0.0, 0.0, 0.0, 1.0, noise, 12)
    truth = math.log1p(probe.smallest(threshold))
    limit = Limit(threshold, 0.5)
    found = [stand([list(rng.normal(truth, noise, 12))], limit).reason != "" for _ in range(120)]
    assert 0.68 <= np.mean(found) <= 0.92


# One metric.


def test_what_does_not_differ_passes() -> None:
    standing = stand([block(0.0)], LIMIT)
    assert standing.outcome is Outcome.PASS
    assert not standing.open


def test_a_suspicion_is_no_verdict_before_it_is_confirmed() -> None:
    standing = stand([block(0.08)], LIMIT)
    assert standing.outcome is Outcome.INCONCLUSIVE
    assert standing.open
    assert "not confirmed" in standing.reason


def test_a_suspicion_that_a_fresh_block_shares_is_a_regression() -> None:
    standing = stand([block(0.08), block(0.07)], LIMIT)
    assert standing.outcome is Outcome.REGRESSION
    assert standing.confirmation is not None
    assert standing.confirmation.estimate == pytest.approx(math.log1p(0.07))
    assert standing.effect.pairs == 24


def test_a_suspicion_that_a_fresh_block_does_not_share_is_none() -> None:
    standing = stand([block(0.06), block(-0.01)], LIMIT)
    assert standing.outcome is Outcome.PASS
    assert standing.confirmation is None


def test_a_worsening_is_not_confirmed_by_an_improvement() -> None:
    standing = stand([block(0.2), block(-0.08)], LIMIT)
    assert standing.outcome is Outcome.INCONCLUSIVE


def test_an_improvement_is_reported_the_same_way() -> None:
    assert stand([block(-0.08), block(-0.08)], LIMIT).outcome is Outcome.IMPROVED


def test_what_is_worse_by_less_than_the_threshold_passes() -> None:
    assert stand([block(0.03)], LIMIT).outcome is Outcome.PASS


def test_what_may_be_beyond_the_guard_does_not_pass() -> None:
    standing = stand([block(0.03, noise=0.15)], LIMIT)
    assert standing.outcome is Outcome.INCONCLUSIVE
    assert "may be" in standing.reason


def test_more_blocks_settle_a_doubt() -> None:
    doubtful = block(0.0, noise=0.17)
    assert stand([doubtful], LIMIT).open
    assert stand([doubtful] * 4, LIMIT).outcome is Outcome.PASS


def test_a_metric_that_only_warns_never_fails() -> None:
    assert stand([block(0.5), block(0.5)], LIMIT, warns=True).outcome is Outcome.WARNING


# One model.


def test_equal_sides_pass_in_every_metric() -> None:
    verdicts = judge([[pair() for _ in range(12)]], LIMITS)
    assert by_metric(verdicts) == dict.fromkeys((ERRORS, *GATE_METRICS), Outcome.PASS)
    assert all(verdict.base == 100.0 for verdict in verdicts if verdict.metric != ERRORS)


@pytest.mark.parametrize(
    ("factors", "worse"),
    [
        ({"cpu": 1.2}, {"cpu"}),
        ({"throughput": 0.8}, {"throughput"}),
        ({"pss": 1.2}, {"pss"}),
        ({"p50": 1.2, "throughput": 1 / 1.2}, {"p50", "throughput"}),
    ],
)
def test_only_what_is_worse_fails(factors: dict[str, float], worse: set[str]) -> None:
    blocks = [[pair(number, factors) for _ in range(12)] for number in (1, 2)]
    failed = {v.metric for v in judge(blocks, LIMITS) if v.outcome is Outcome.REGRESSION}
    assert failed == worse


def test_more_throughput_is_an_improvement_and_shown_as_a_gain() -> None:
    blocks = [[pair(number, {"throughput": 1.2}) for _ in range(12)] for number in (1, 2)]
    (verdict,) = (v for v in judge(blocks, LIMITS) if v.metric == "throughput")
    assert verdict.outcome is Outcome.IMPROVED
    assert verdict.to_json()["effect"]["change"] == pytest.approx(0.2)


def test_the_tail_only_warns() -> None:
    blocks = [[pair(number, {"p99": 2.0}) for _ in range(12)] for number in (1, 2)]
    assert by_metric(judge(blocks, LIMITS))["p99"] is Outcome.WARNING


def test_an_error_that_the_base_does_not_have_is_a_regression_at_once() -> None:
    blocks = [[pair(), pair(head_errors={"mismatch": 3, "unfinished": 2}), pair()]]
    (verdict,) = judge(blocks, LIMITS)
    assert (verdict.metric, verdict.outcome) == (ERRORS, Outcome.REGRESSION)
    assert verdict.reason == "new in the head: 3 mismatch, 2 unfinished"


def test_errors_on_both_sides_are_invalid() -> None:
    both: dict[str, Any] = {"base_errors": {"reset": 1}, "head_errors": {"reset": 1}}
    (verdict,) = judge([[pair(**both) for _ in range(12)]], LIMITS)
    assert verdict.outcome is Outcome.INVALID


def test_connections_that_a_model_never_serves_are_no_error() -> None:
    both: dict[str, Any] = {"base_errors": {"unfinished": 63}, "head_errors": {"unfinished": 63}}
    verdicts = judge([[pair(**both) for _ in range(12)]], LIMITS)
    assert set(by_metric(verdicts).values()) == {Outcome.PASS}


def test_a_server_that_failed_is_invalid_and_says_whose_it_was() -> None:
    failed = pair(figures={}, failure="the server died (exit code 1)", failed="head")
    (verdict,) = judge([[pair(), failed]], LIMITS)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason == "head: the server died (exit code 1)"


# The whole.


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(cell=CellKey("echo", "", "thread"), metric="cpu", outcome=outcome)


def report(*outcomes: Outcome, enforced: bool = True) -> GateReport:
    return GateReport(
        base="main",
        head="here",
        started="",
        seconds=1.0,
        placement="same",
        method="",
        machine={},
        verdicts=[verdict(outcome) for outcome in outcomes],
        enforced=enforced,
    )


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), 0),
        ((Outcome.PASS, Outcome.IMPROVED, Outcome.WARNING, Outcome.ALLOWED), 0),
        ((Outcome.PASS, Outcome.NO_BASELINE), 0),
        ((Outcome.NO_BASELINE, Outcome.NO_BASELINE), 5),
        ((Outcome.PASS, Outcome.INCONCLUSIVE), 4),
        ((Outcome.INCONCLUSIVE, Outcome.REGRESSION), 1),
        ((Outcome.REGRESSION, Outcome.INVALID), 3),
    ],
)
def test_the_worst_outcome_is_the_exit_code(outcomes: tuple[Outcome, ...], code: int) -> None:
    assert report(*outcomes).exit_code() == code


def test_what_is_inconclusive_can_be_let_pass_but_nothing_else() -> None:
    assert report(Outcome.INCONCLUSIVE).exit_code(inconclusive_passes=True) == 0
    assert report(Outcome.INCONCLUSIVE, Outcome.REGRESSION).exit_code(inconclusive_passes=True) == 1
    assert report(Outcome.INVALID).exit_code(inconclusive_passes=True) == 3


def test_a_report_that_is_not_enforced_fails_for_what_is_invalid_only() -> None:
    assert report(Outcome.REGRESSION, enforced=False).exit_code() == 0
    assert report(Outcome.INVALID, enforced=False).exit_code() == 3


def test_the_report_as_json_has_no_infinity() -> None:
    import json

    blocks = [[pair() for _ in range(12)]]
    found = report()
    object.__setattr__(found, "verdicts", judge(blocks, LIMITS))
    assert json.dumps(found.to_json(), allow_nan=False)
