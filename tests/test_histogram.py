"""The histogram against the `hdrh` library, and `summarize` against sorted values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.histogram import (
    HIGHEST_NS,
    LOWEST_NS,
    PERCENTILES,
    SAMPLES_ABOVE,
    SIGNIFICANT_DIGITS,
    SLOTS,
    Histogram,
    is_supported,
    rank,
    slot_of,
    summarize,
)

durations = st.integers(1, HIGHEST_NS)
many_durations = st.lists(durations, min_size=1, max_size=60)
EDGES = sorted(
    {value + step for power in range(36) for value in (2**power,) for step in (-1, 0, 1)} - {0}
)


def library(values: Sequence[int]) -> HdrHistogram:
    histogram = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    for value in values:
        histogram.record_value(value)
    return histogram


def test_the_library_counts_in_as_many_slots() -> None:
    assert library([]).counts_len == SLOTS


@pytest.mark.parametrize("value", EDGES)
def test_slots_at_powers_of_two_are_the_librarys(value: int) -> None:
    assert library([value]).counts[slot_of(value)] == 1


@given(durations)
def test_slots_are_the_librarys(value: int) -> None:
    assert library([value]).counts[slot_of(value)] == 1


def test_a_value_beyond_the_range_is_counted_in_the_last_slot() -> None:
    assert slot_of(10 * HIGHEST_NS) == SLOTS - 1


@given(many_durations, st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
@settings(max_examples=50)
def test_percentiles_are_the_librarys(values: list[int], percentiles: list[float]) -> None:
    reference = library(values)
    expected = [reference.get_value_at_percentile(percentile) for percentile in percentiles]
    assert Histogram.of(values).values_at(percentiles).tolist() == expected


@given(many_durations)
@settings(max_examples=50)
def test_mean_and_extremes_are_known_to_a_part_in_a_thousand(values: list[int]) -> None:
    histogram = Histogram.of(values)
    assert histogram.mean() == pytest.approx(sum(values) / len(values), rel=1e-3, abs=1)
    assert histogram.max() == pytest.approx(max(values), rel=1e-3, abs=1)
    assert histogram.min() == pytest.approx(min(values), rel=1e-3, abs=1)


@given(st.lists(durations, max_size=60))
@settings(max_examples=50)
def test_what_is_encoded_decodes_to_the_same(values: list[int]) -> None:
    histogram = Histogram.of(values)
    assert Histogram.decode(histogram.encode()) == histogram


def test_the_library_reads_what_is_encoded_and_the_other_way_round() -> None:
    values = [1, 999, 1_000_000, 1_000_000, 59_999_999_999]
    assert HdrHistogram.decode(Histogram.of(values).encode()).get_total_count() == len(values)
    assert Histogram.decode(library(values).encode().decode()) == Histogram.of(values)


@pytest.mark.parametrize("text", ["", "not base64!", "AAAA"])
def test_what_is_no_histogram_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not an encoded HdrHistogram"):
        Histogram.decode(text)


def test_a_histogram_of_another_range_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="slots"):
        Histogram.decode(HdrHistogram(1, 3_600_000, 2).encode().decode())


@given(st.lists(st.lists(durations, max_size=20), max_size=4))
def test_merging_histograms_is_recording_all_their_values(parts: list[list[int]]) -> None:
    merged = Histogram.merge(Histogram.of(part) for part in parts)
    assert merged == Histogram.of(value for part in parts for value in part)


def test_an_empty_histogram_has_no_figures() -> None:
    empty = Histogram()
    assert empty.count == empty.max() == empty.min() == 0
    assert empty.values_at([50.0]).tolist() == [0]
    assert math.isnan(empty.mean())
    assert set(summarize(empty, empty).values()) == {None}


@pytest.mark.parametrize(
    ("name", "least"), [("p50", 20), ("p90", 100), ("p99", 1_000), ("p999", 10_000)]
)
def test_a_percentile_is_given_from_ten_samples_above_it_on(name: str, least: int) -> None:
    enough = summarize(Histogram.from_pairs([(slot_of(1000), least)]), Histogram())
    too_few = summarize(Histogram.from_pairs([(slot_of(1000), least - 1)]), Histogram())
    assert enough[name] == 1000
    assert too_few[name] is None


@given(st.integers(1, 10**7), st.sampled_from([50, 90, 99, 99.9, 99.99]))
def test_the_ten_samples_rule_holds_in_exact_arithmetic(count: int, percentile: float) -> None:
    above = count * (100 - Fraction(str(percentile))) / 100
    assert is_supported(percentile, count) == (above >= SAMPLES_ABOVE)
    assert abs(above - (count - rank(percentile, count))) <= 1


@given(
    st.lists(st.integers(1, 2000), min_size=20, max_size=300),
    st.lists(st.integers(1, 2000), max_size=40),
)
@settings(max_examples=200)
def test_no_true_latency_of_unanswered_requests_contradicts_the_summary(
    answered: list[int], ages: list[int]
) -> None:
    """Below 2,048 ns every slot is one value wide, so sorted values are an exact reference.

    Whatever the unanswered requests would have taken beyond their age, a figure without the
    mark stays what it is, and one with the mark does not fall.
    """
    figures = summarize(Histogram.of(answered), Histogram.of(ages))
    for extra in (0, 1, 7, 10**6):
        truth = sorted([*answered, *(age + extra for age in ages)])
        for name, percentile in PERCENTILES.items():
            figure = figures[name]
            if figure is None:
                continue
            true_value = truth[rank(percentile, len(truth)) - 1]
            if figures.get(f"{name}_at_least"):
                assert true_value >= figure
            else:
                assert true_value == figure


@given(
    st.lists(st.integers(1, 2000), min_size=20, max_size=100),
    st.lists(st.integers(1, 2000), min_size=1, max_size=40),
)
def test_a_figure_is_marked_just_when_an_unanswered_request_is_at_or_below_it(
    answered: list[int], ages: list[int]
) -> None:
    figures = summarize(Histogram.of(answered), Histogram.of(ages))
    merged = sorted([*answered, *ages])
    for name, percentile in PERCENTILES.items():
        if figures[name] is not None:
            reached = merged[rank(percentile, len(merged)) - 1] >= min(ages)
            assert bool(figures.get(f"{name}_at_least")) == reached
    assert figures["mean_at_least"] is True


def test_without_unanswered_requests_nothing_is_marked() -> None:
    figures = summarize(Histogram.of([1000] * 20_000), Histogram())
    assert not [name for name in figures if name.endswith("_at_least")]
    assert figures["p999"] == 1000
