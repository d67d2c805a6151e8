"""Charts: what is drawn says what it is, when, on what, and what went wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import rgb_to_hsv, to_rgb

from reports.cells.families import choose
from reports.cells.gathering import workloads_of
from reports.cells.ladders import knee_of
from reports.cells.report import report_of
from reports.cells.workload import Cell
from reports.charts.gallery import Chart, charts_of, slug
from reports.charts.percentiles import curve_of
from reports.charts.style import HUES, OTHER_HUE, facts, looks_of, spread_apart
from reports.charts.timeline import track_of
from reports.histogram import Histogram
from reports.record import Sample
from tests.runs import (
    MODELS,
    SCENARIOS,
    changed,
    failed,
    make_run,
    make_sample,
    standard_run,
    starved,
    studies_run,
)
from tests.thirty import CATALOGUE, thirty_curve, thirty_run

THIRTY = thirty_run(1)[0]
SHOWN = ("echo", "churn", "bulk")


def drawn(*samples: Sample) -> dict[str, Chart]:
    run = make_run()
    return {chart.name: chart for chart in charts_of(report_of(run, samples))}


def words(chart: Chart) -> str:
    """Return all text of a chart, in one line."""
    found = re.findall(rb"<text[^>]*>(.*?)</text>", chart.images["svg"], re.DOTALL)
    return " ".join(text.decode() for text in found)


@pytest.fixture(scope="module")
def charts() -> Mapping[str, Chart]:
    return drawn(*standard_run(2, SHOWN)[1])


def test_every_workload_has_its_four_charts_in_both_formats(charts: Mapping[str, Chart]) -> None:
    expected = [
        slug(name, SCENARIOS[name].level, kind)
        for name in SHOWN
        for kind in ("overview", "percentiles", "timeline", "fairness")
    ]
    assert list(charts) == expected
    for chart in charts.values():
        assert chart.images["png"].startswith(b"\x89PNG")
        assert chart.images["svg"].startswith(b"<?xml")


def test_a_chart_names_scenario_level_date_python_cpu_and_placement(
    charts: Mapping[str, Chart],
) -> None:
    for chart in charts.values():
        text = words(chart)
        assert f"{chart.scenario}: {chart.level}" in text
        for fact in ("2026-11-23", "CPython 3.11.2", "AMD EPYC 7B13", "placement split"):
            assert fact in text


def test_axes_have_units(charts: Mapping[str, Chart]) -> None:
    text = words(charts["echo-64-connections-1-kib-overview"])
    for unit in ("requests/s", "CPU per request, us", "MiB", "3 ms"):
        assert unit in text


def test_every_model_stands_in_the_overview_of_every_workload(charts: Mapping[str, Chart]) -> None:
    for name, chart in charts.items():
        if name.endswith("overview"):
            assert all(f">{model}<" in chart.images["svg"].decode() for model in MODELS)


@pytest.mark.parametrize(
    ("chart", "note"),
    [
        ("echo-64-connections-1-kib-overview", "1 of 64 served"),
        ("echo-64-connections-1-kib-percentiles", "serial, at least (1 of 64 served)"),
        ("echo-64-connections-1-kib-timeline", "1 of 64 served"),
        ("churn-16-connections-1-request-each-64-b-overview", "6 reset"),
        ("bulk-8-connections-256-kib-overview", "failed: the server gave no"),
    ],
)
def test_what_went_wrong_is_written_on_the_chart(
    charts: Mapping[str, Chart], chart: str, note: str
) -> None:
    assert note in words(charts[chart])


def test_the_same_figures_give_the_same_bytes(charts: Mapping[str, Chart]) -> None:
    samples = [sample for sample in standard_run(2, SHOWN)[1] if sample.cell.scenario == "churn"]
    for name, chart in drawn(*samples).items():
        assert chart.images == charts[name].images


def test_a_run_with_levels_has_a_chart_against_the_number_of_connections() -> None:
    base = make_sample()
    levels = [
        changed(
            base, connections=n, level=f"{n} connections, 1 KiB", requests_per_connection=[1] * n
        )
        for n in (8, 64, 256)
    ]
    chart = drawn(*levels)["echo-1-kib-by-connections"]
    assert ">256<" in chart.images["svg"].decode()
    assert "echo: 1 KiB: by number of connections" in words(chart)
    assert "echo-1-kib-by-connections" not in drawn(
        base, changed(base, level="64 connections, 64 B")
    )


def test_workloads_whose_words_make_the_same_file_name_have_charts_of_their_own() -> None:
    base = make_sample()
    alike = (changed(base, level=level, connections=1) for level in ("1 KiB!", "1 KiB?", "1 KiB-2"))
    assert [name for name in drawn(*alike) if "overview" in name] == [
        "echo-1-kib-overview", "echo-1-kib-2-overview", "echo-1-kib-overview-2",
    ]  # fmt: skip


def test_of_failed_trials_only_the_overview_is_drawn() -> None:
    charts = drawn(failed(make_sample(), "it died"))
    assert list(charts) == ["echo-64-connections-1-kib-overview"]
    assert "failed: it died" in words(charts["echo-64-connections-1-kib-overview"])


def test_one_starved_trial_of_one_model_can_be_drawn() -> None:
    assert len(drawn(starved(make_sample()))) == 4


def hue_of(colour: str) -> float:
    return float(rgb_to_hsv(to_rgb(colour))[0])


def test_no_two_of_thirty_models_look_alike_in_colour_or_in_greyscale() -> None:
    looks = [looks_of(THIRTY).of(model) for model in CATALOGUE]
    assert len(set(looks)) == 30
    assert len({(look.marker, str(look.line)) for look in looks}) == 30


def test_a_family_is_one_hue_and_families_differ_in_it() -> None:
    looks, hues = looks_of(THIRTY), defaultdict(list)
    for model, (family, _) in CATALOGUE.items():
        hues[family].append(hue_of(looks.of(model).colour))
    for of_family in hues.values():
        assert max(of_family) - min(of_family) < 0.01
    coloured = sorted(hue[0] for family, hue in hues.items() if family != "sequential")
    assert all(after - before > 0.02 for before, after in pairwise(coloured))


def test_members_of_a_family_have_tints_of_their_own_as_far_as_these_go() -> None:
    looks = looks_of(THIRTY)
    threads = [model for model, (family, _) in CATALOGUE.items() if family == "threads"]
    assert len({looks.of(model).colour for model in threads}) == len(threads) == 4


def test_a_model_looks_the_same_in_a_run_of_a_few_as_in_a_run_of_all() -> None:
    few = replace(THIRTY, models=["gevent", "asyncio"])
    assert looks_of(few).of("gevent") == looks_of(THIRTY).of("gevent")


def test_a_run_that_does_not_say_families_has_those_of_the_eight_classics() -> None:
    looks = looks_of(replace(make_run(), models=["thread", "nobody-knows"]))
    assert looks.of("thread").colour == HUES["threads"]
    assert looks.of("nobody-knows").colour == OTHER_HUE


def test_up_to_twelve_models_a_chart_shows_all_and_then_the_best_of_each_family() -> None:
    families = {model: family for model, (family, _) in CATALOGUE.items()}
    best_first = sorted(families, key=lambda model: -CATALOGUE[model][1].speed)
    ranking = {model: families[model] for model in best_first}
    twelve = dict(list(ranking.items())[:12])
    assert choose(twelve) == (tuple(twelve), {})
    chosen = choose(ranking)
    assert chosen.subjects == (
        "uvloop-protocol", "coroutine", "prefork-uvloop", "serial", "prefork-reuseport",
        "prethread", "gevent", "subinterpreters",
    )  # fmt: skip
    rest = [model for members in chosen.left_out.values() for model in members]
    assert sorted([*chosen.subjects, *rest]) == sorted(CATALOGUE)
    assert "threads: thread, thread-pool, socketserver;" in chosen.sentence


@pytest.fixture(scope="module")
def thirty() -> Mapping[str, Chart]:
    charts = charts_of(report_of(*thirty_run(1, ("churn",))))
    return {chart.name.rpartition("-")[2]: chart for chart in charts}


@pytest.mark.parametrize("kind", ["overview", "percentiles", "timeline", "fairness"])
def test_a_chart_of_thirty_models_names_those_that_it_leaves_to_the_table(
    thirty: Mapping[str, Chart], kind: str
) -> None:
    texts = re.findall(r"<text[^>]*>(.*?)</text>", thirty[kind].images["svg"].decode(), re.DOTALL)
    shown = {model for model in CATALOGUE if any(text.strip() == model for text in texts)}
    note = re.search(
        r"The best of each family\. In the table, but not here: (.*?)\.", " ".join(texts)
    )
    assert note
    named = [name for family in note[1].split("; ") for name in family.split(": ")[1].split(", ")]
    assert len(shown) == 8
    assert sorted([*shown, *named]) == sorted(CATALOGUE)


def test_on_a_ladder_the_best_of_each_family_at_its_last_rung_is_drawn() -> None:
    chart = next(charts_of(report_of(*thirty_curve())))
    text = words(chart)
    assert "The best of each family." in text
    assert text.count("gevent") == 4  # in each panel


@given(st.lists(st.floats(-0.2, 1.2), max_size=12).map(sorted))
def test_labels_keep_their_order_and_their_distance_and_stay_inside(positions: list[float]) -> None:
    gap = 0.05
    moved = spread_apart(positions, gap)
    assert len(moved) == len(positions)
    assert all(after - before >= gap - 1e-9 for before, after in pairwise(moved))
    assert all(-1e-9 <= position <= 1 + 1e-9 for position in moved)


def test_labels_that_are_apart_already_stay_where_they_are() -> None:
    assert spread_apart([0.1, 0.5, 0.9], 0.05) == pytest.approx([0.1, 0.5, 0.9])


def test_a_latency_curve_ends_where_ten_samples_are_left_and_knows_its_bounds() -> None:
    curve = curve_of(Histogram.of(range(1, 1000)), Histogram.of([1500]))
    assert curve is not None
    assert curve.nines[-1] == pytest.approx(100)  # p99 of 1,000 samples
    assert curve.bound_from == len(curve.nines)
    bounded = curve_of(Histogram.of(range(1, 951)), Histogram.of([1500] * 50))
    assert bounded is not None
    assert curve_of(Histogram.of([1] * 19), Histogram()) is None
    assert bounded.latency_us[bounded.bound_from] == 1.5
    assert bounded.latency_us[bounded.bound_from - 1] < 1


def test_the_time_axis_shows_the_median_trial_and_a_short_last_interval() -> None:
    samples = [
        changed(
            make_sample(block=block), requests=requests, seconds=0.25, interval_seconds=0.1,
            interval_requests=[requests, requests, requests],
            interval_latencies=[Histogram.of([1000] * 10)] * 3,
        )
        for block, requests in enumerate((100, 900, 500))
    ]  # fmt: skip
    (workload,) = workloads_of(make_run(), samples)
    track = track_of(workload.cells[0])
    assert track is not None
    assert track.per_second.tolist() == pytest.approx([5000, 5000, 10_000])
    assert track.seconds.tolist() == pytest.approx([0.05, 0.15, 0.225])
    assert np.isnan(track.latency_us[50.0]).all()  # ten samples leave five above


@pytest.fixture(scope="module")
def studies() -> Mapping[str, Chart]:
    run, samples = studies_run(1)
    return {chart.name: chart for chart in charts_of(report_of(run, samples))}


def test_a_ladder_has_one_chart_in_place_of_three_for_each_of_its_rungs(
    studies: Mapping[str, Chart],
) -> None:
    assert [name for name in studies if not name.startswith("rate")] == [
        "connections-16-connections-64-b-by-idle-connections",
        "backlog-256-connections-64-b-by-backlog",
        "curve-64-connections-1-kib-by-rate",
        "study-curve",
    ]
    assert len([name for name in studies if name.startswith("rate")]) == 2 * 4


def test_a_model_that_stops_on_the_ladder_is_marked(studies: Mapping[str, Chart]) -> None:
    text = words(studies["connections-16-connections-64-b-by-idle-connections"])
    assert "thread, stopped" in text
    assert "coroutine, stopped" not in text


def test_the_strip_names_jains_index_and_who_was_never_served(charts: Mapping[str, Chart]) -> None:
    text = words(charts["echo-64-connections-1-kib-fairness"])
    assert "Jain 0.016, 63 of 64 never served, 1 off the axis" in text
    assert text.count("Jain 0.99") == 7


def curve(*rungs: tuple[float, float, float]) -> list[Cell]:
    """Return cells of (rate, throughput, p99 in ms)."""
    return [
        workloads_of(
            make_run(),
            [
                changed(
                    make_sample(),
                    rate=rate,
                    seconds=1.0,
                    requests=int(throughput),
                    answered=Histogram.of([int(p99 * 1e6)] * 1000),
                )
            ],
        )[0].cells[0]
        for rate, throughput, p99 in rungs
    ]


@pytest.mark.parametrize(
    ("rungs", "rate"),
    [
        (((100, 100, 1), (200, 200, 2), (300, 300, 9.9)), 300),
        (((100, 100, 1), (200, 200, 2), (300, 300, 10.1)), 200),  # ten times the lowest rate's
        (((100, 100, 1), (200, 200, 2), (300, 293, 2)), 200),  # 2% of the rate is not kept
        (((100, 100, 1), (200, 100, 2), (300, 300, 2)), 100),  # nothing counts beyond the bend
        (((100, 50, 1),), None),
    ],
)
def test_the_knee_is_the_last_rate_before_the_bend(
    rungs: tuple[tuple[float, float, float], ...], rate: float | None
) -> None:
    knee = knee_of(curve(*rungs))
    assert (knee.load.rate if knee else None) == rate


def test_a_single_connection_has_the_null_servers_round_trip_beside_it() -> None:
    run = replace(make_run(), wake_up_ns={"same": 5_200.0, "split": 98_000.0})
    sample = make_sample()
    assert "98.0 us" in facts(run, changed(sample, connections=1))
    assert "98.0 us" not in facts(run, sample)
