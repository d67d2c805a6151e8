"""Intervals, ratios and ranks: known answers, invariances, and how often an interval is right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import DegenerateDataWarning, bootstrap

from reports.bootstrap import RESAMPLES, SEED
from reports.histogram import PERCENTILES, Histogram, slot_values
from reports.stats import (
    Interval,
    Ranks,
    coverage,
    median_interval,
    median_intervals,
    percentile_interval,
    range_coverage,
    ranks_of,
    ratio_interval,
)

POSITIVE = st.floats(1e-3, 1e6)


def by_block(*values: float) -> dict[int, float]:
    return dict(enumerate(values, 1))


@pytest.mark.parametrize(
    ("trials", "expected"), [(1, 0), (2, 0.5), (5, 0.9375), (6, 0.96875), (7, 0.984375)]
)
def test_the_range_of_trials_covers_the_median_as_order_statistics_say(
    trials: int, expected: float
) -> None:
    assert range_coverage(trials) == expected


def test_from_eight_trials_on_the_coverage_is_the_bootstraps() -> None:
    assert [coverage(trials) for trials in (1, 7, 8, 30)] == [0, 0.984375, 0.95, 0.95]


def test_below_eight_trials_the_interval_is_their_range() -> None:
    assert median_interval([3, 1, 2, 5, 4]) == Interval(3, 1, 5, 0.9375, 5)
    assert median_interval([7]) == Interval(7, 7, 7, 0, 1)
    assert not median_interval([1, 2, 3, 4]).tells


def test_from_eight_trials_on_a_bootstrap_narrows_it() -> None:
    found = median_interval([10, 11, 12, 13, 14, 15, 16, 17, 18, 100])
    assert found.value == 14.5
    assert 10 <= found.low < 14.5 < found.high < 100
    assert found.coverage == 0.95


@pytest.mark.parametrize("values", [[5.0] * 9, [5.0] * 8 + [6.0], [1.0, *[5.0] * 7, 9.0]])
def test_trials_that_agree_have_an_interval_too(values: list[float]) -> None:
    found = median_interval(values)
    assert min(values) <= found.low <= found.value == 5 <= found.high <= max(values)


def scipys(ordered: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of the median that scipy gives: BCa, or percentiles without variance."""
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", DegenerateDataWarning)
            found = bootstrap(
                (np.arange(len(ordered)),),
                lambda at, axis: np.median(ordered[at.astype(int)], axis=axis),
                n_resamples=RESAMPLES,
                method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)


@pytest.mark.parametrize("trials", [8, 9, 10, 23])
@pytest.mark.parametrize("step", [1e-9, 0.25, 2.0])  # all different, some the same, most the same
def test_an_interval_is_to_the_last_bit_that_of_scipy(trials: int, step: float) -> None:
    rng = np.random.default_rng(trials)
    rows = [np.sort(rng.lognormal(size=trials) // step * step + 1) for _ in range(12)]
    found = median_intervals([row.tolist() for row in rows])
    for row, each in zip(rows, found, strict=True):
        assert (each.low, each.high) == scipys(row)


def test_many_rows_at_once_have_the_intervals_that_each_has_alone() -> None:
    rng = np.random.default_rng(4)
    rows = [rng.lognormal(size=count).tolist() for count in (9, 1, 5, 9, 12, 8)]
    rows.append([3.0] * 9)
    assert median_intervals(rows) == [median_interval(row) for row in rows]


def test_no_trial_is_an_error() -> None:
    with pytest.raises(ValueError, match="no trial"):
        median_interval([])


@pytest.mark.parametrize(("trials", "expected"), [(5, 0.9375), (8, 0.95), (12, 0.95)])
def test_the_interval_holds_the_true_median_about_as_often_as_it_says(
    trials: int, expected: float
) -> None:
    rng = np.random.default_rng(11)
    found = [median_interval(rng.lognormal(size=trials).tolist()) for _ in range(400)]
    held = np.mean([each.low <= 1 <= each.high for each in found])
    # Four standard errors of a share of 400, and BCa's known shortfall with few trials.
    assert expected - 0.06 < held < expected + 0.045


@settings(max_examples=40, deadline=None)
@given(st.lists(POSITIVE, min_size=1, max_size=10), st.randoms())
def test_the_order_of_trials_makes_no_difference(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert median_interval(values) == median_interval(shuffled)


@settings(max_examples=40, deadline=None)
@given(st.lists(POSITIVE, min_size=1, max_size=10))
def test_a_median_lies_within_its_interval_and_that_within_the_trials(values: list[float]) -> None:
    found = median_interval(values)
    assert min(values) <= found.low <= found.high <= max(values)
    assert found.low <= found.value <= found.high


def test_a_ratio_is_the_median_within_blocks() -> None:
    """The machine halves its speed in block 2; the ratio does not notice."""
    found = ratio_interval(by_block(200, 100, 220), by_block(100, 50, 100))
    assert found is not None
    assert found[:3] == pytest.approx((2.0, 2.0, 2.2))


def test_only_blocks_that_both_have_count_and_zeros_have_no_ratio() -> None:
    found = ratio_interval({1: 4, 2: 6, 3: 0}, {2: 2, 3: 5, 4: 9})
    assert found is not None
    assert found.value == pytest.approx(3)
    assert found.trials == 1
    assert ratio_interval({1: 4}, {2: 4}) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=10))
def test_the_other_way_round_a_ratio_is_the_reciprocal(pairs: list[tuple[float, float]]) -> None:
    one, other = (by_block(*values) for values in zip(*pairs, strict=True))
    forth, back = ratio_interval(one, other), ratio_interval(other, one)
    assert forth is not None
    assert back is not None
    assert (1 / back.value, 1 / back.high, 1 / back.low) == pytest.approx(forth[:3])


def test_models_that_one_another_surely_beats_have_ranks_of_their_own() -> None:
    figures = {
        "slow": by_block(1, 1, 1, 1, 1),
        "fast": by_block(9, 9, 8, 9, 9),
        "middle": by_block(3, 3, 3, 3, 4),
    }
    ranks = ranks_of(figures, more_is_better=True)
    assert list(ranks) == ["fast", "middle", "slow"]
    assert [str(rank) for rank in ranks.values()] == ["1", "2", "3"]
    assert list(ranks_of(figures, more_is_better=False)) == ["slow", "middle", "fast"]


def test_ties_that_are_not_transitive_share_ranks_pairwise() -> None:
    figures = {
        "a": by_block(10, 11, 12, 13, 14),
        "b": by_block(9.5, 11.5, 11, 12, 13),  # ahead of a in one block, of c in four
        "c": by_block(9, 10, 11.5, 11, 12),
    }
    ranks = ranks_of(figures, more_is_better=True)
    assert ranks == {"a": Ranks(1, 2), "b": Ranks(1, 3), "c": Ranks(2, 3)}
    assert str(ranks["b"]) == "1-3"


def test_with_fewer_than_five_trials_all_share_all_ranks() -> None:
    figures = {"a": by_block(1, 1, 1, 1), "b": by_block(9, 9, 9, 9)}
    assert set(ranks_of(figures, more_is_better=True).values()) == {Ranks(1, 2)}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(POSITIVE, min_size=5, max_size=5), min_size=1, max_size=6),
    st.permutations(range(6)),
)
def test_names_and_their_order_do_not_change_who_has_which_rank(
    table: list[list[float]], order: Sequence[int]
) -> None:
    plain = ranks_of({f"m{n}": by_block(*row) for n, row in enumerate(table)}, more_is_better=True)
    renamed = {f"x{order[n]}": by_block(*row) for n, row in enumerate(table)}
    shuffled = ranks_of({name: renamed[name] for name in sorted(renamed)}, more_is_better=True)
    assert {n: plain[f"m{n}"] for n in range(len(table))} == {
        n: shuffled[f"x{order[n]}"] for n in range(len(table))
    }
    for rank in plain.values():
        assert 1 <= rank.first <= rank.last <= len(table)


@pytest.mark.parametrize("trials", [1, 5, 9])
def test_a_percentile_is_that_of_the_merged_histogram(trials: int) -> None:
    rng = np.random.default_rng(3)
    histograms = [
        Histogram.of(rng.lognormal(13 + rng.normal(0, 0.2), 0.5, 500).astype(int).tolist())
        for _ in range(trials)
    ]
    for percentile in PERCENTILES.values():
        found = percentile_interval(percentile, [h.counts for h in histograms], slot_values())
        merged = float(Histogram.merge(histograms).values_at([percentile])[0])
        each = [float(h.values_at([percentile])[0]) for h in histograms]
        assert found.value == merged
        assert min(each) <= found.low <= found.value <= found.high <= max(each)
        assert math.isclose(found.coverage, 0.95 if trials > 7 else range_coverage(trials))
