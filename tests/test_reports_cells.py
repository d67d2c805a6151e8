"""Trials brought together into cells, on figures computed by hand."""

from __future__ import annotations

import csv
import dataclasses

import pandas as pd
import pytest

from reports.cells.families import chosen_of
from reports.cells.frames import csv_of, summary_frame, trials_frame
from reports.cells.gathering import workloads_of
from reports.cells.report import report_of
from reports.cells.workload import Cell, Workload
from reports.histogram import Histogram
from reports.key import REFERENCE
from reports.metrics import BANDWIDTH, CPU, CPU_PER_MIB, METRICS, THROUGHPUT
from reports.record import Sample
from reports.units import extent
from tests.runs import changed, failed, make_run, make_sample, starved, with_resets

MS = 1_000_000


def hand_made(model: str = "thread", block: int = 0, *, requests: int = 1000) -> Sample:
    """Return a trial whose figures can be worked out in the head."""
    return changed(
        make_sample("echo", model, block),
        connections=4,
        seconds=0.5,
        requests=requests,
        answered=Histogram.of([MS] * 1000),
        requests_per_connection=[300, 300, 300, 100],
        server_user_seconds=0.01,
        server_system_seconds=0.03,
        voluntary_switches=2500,
        minor_faults=250,
        pss_idle_bytes=8 * 2**20,
        pss_loaded_bytes=12 * 2**20,
        generator_cpu_seconds=0.2,
    )


def frame_of(*samples: Sample) -> pd.DataFrame:
    return summary_frame(report_of(make_run(), samples))


def only_cell(*samples: Sample) -> Cell:
    (workload,) = workloads_of(make_run(), samples)
    (cell,) = workload.cells
    return cell


def only_workload(*samples: Sample) -> Workload:
    (workload,) = workloads_of(make_run(), samples)
    return workload


def test_the_figures_of_a_trial_are_those_worked_out_by_hand() -> None:
    row = trials_frame([hand_made()]).iloc[0]
    expected = {
        "throughput_per_s": 2000,
        "latency_mean_us": 1000,
        "latency_p50_us": 1000,
        "latency_p99_us": 1000,
        "cpu_us_per_request": 40,
        "cpu_user_us_per_request": 10,
        "pss_idle_mib": 8,
        "pss_loaded_mib": 12,
        "pss_kib_per_connection": 1024,
        "voluntary_switches_per_request": 2.5,
        "minor_faults_per_request": 0.25,
        "jain": 1000**2 / (4 * 280_000),
        "generator_cpu_share": 0.4,
        "served": 4,
        "errors": 0,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-3)
    assert not row["latency_p99_us_at_least"]


def test_a_cell_has_the_median_of_its_trials_and_their_range() -> None:
    spread = only_cell(
        *(hand_made(block=block, requests=n) for block, n in enumerate((900, 1000, 1400)))
    ).figures["throughput_per_s"]
    assert (spread.value, spread.low, spread.high, spread.trials) == (2000, 1800, 2800, 3)


def test_percentiles_of_a_cell_come_from_merged_histograms_and_are_no_averages() -> None:
    fast = changed(hand_made(), answered=Histogram.of([MS] * 900))
    slow = changed(hand_made(block=1), answered=Histogram.of([9 * MS] * 100))
    figures = only_cell(fast, slow).figures
    assert figures["latency_p50_us"].value == pytest.approx(1000, rel=1e-3)
    assert figures["latency_p99_us"].value == pytest.approx(9000, rel=1e-3)
    assert figures["latency_p50_us"].high == pytest.approx(9000, rel=1e-3)


def test_a_percentile_that_only_the_trials_together_support_has_no_range() -> None:
    half = Histogram.of([MS] * 500)
    cell = only_cell(*(changed(hand_made(block=b), answered=half) for b in range(2)))
    assert cell.figures["latency_p99_us"].trials == 0
    assert "latency_p999_us" not in cell.figures


def test_a_percentile_among_unanswered_requests_is_a_lower_bound() -> None:
    ages = Histogram.of([2_000 * MS] * 50)
    cell = only_cell(changed(hand_made(), unanswered=ages))
    assert not cell.figures["latency_p50_us"].at_least
    assert cell.figures["latency_p99_us"].at_least
    row = frame_of(changed(hand_made(), unanswered=ages)).iloc[0]
    assert row["latency_p99_us_at_least"]
    assert not row["latency_p50_us_at_least"]


def test_failed_trials_count_as_failures_and_not_in_the_figures() -> None:
    cell = only_cell(hand_made(), failed(hand_made(block=1), "it died\nTraceback"))
    assert cell.figures["throughput_per_s"].trials == 1
    assert cell.failures == ("it died\nTraceback",)
    assert cell.notes == ["failed 1 of 2: it died"]
    assert not cell.ranked


@pytest.mark.parametrize(
    ("sample", "notes"),
    [
        (make_sample(), []),
        (starved(make_sample()), ["1 of 64 served"]),
        (with_resets(make_sample(), 3), ["3 reset"]),
        (failed(make_sample(), "no ready line"), ["failed: no ready line"]),
    ],
    ids=["good", "starved", "reset", "failed"],
)
def test_what_is_wrong_with_a_cell_is_noted_and_keeps_it_from_being_ranked(
    sample: Sample, notes: list[str]
) -> None:
    cell = only_cell(sample)
    assert cell.notes == notes
    assert cell.ranked == (not notes)


def test_a_busy_generator_is_noted() -> None:
    cell = only_cell(changed(hand_made(), generator_cpu_seconds=0.48))
    assert cell.notes == ["generator 96% busy"]


def test_errors_are_summed_by_kind_with_their_zeros() -> None:
    cell = only_cell(with_resets(make_sample(), 2), with_resets(make_sample(block=1), 3))
    assert cell.errors["reset"] == 5
    assert cell.errors["refused"] == 0


def test_scenarios_levels_and_models_stand_in_the_runs_order_however_they_were_stored() -> None:
    samples = [
        make_sample("wait", "thread"),
        changed(make_sample("echo", "asyncio"), connections=256, level="256 connections"),
        make_sample("echo", "asyncio"),
        make_sample("echo", "serial"),
    ]
    listed = [(w.scenario, w.load.connections) for w in workloads_of(make_run(), samples)]
    assert listed == [("echo", 64), ("echo", 256), ("wait", 64)]
    assert [cell.model for cell in workloads_of(make_run(), samples)[0].cells] == [
        "serial",
        "asyncio",
    ]


def test_the_ranking_is_by_throughput_with_unranked_cells_last() -> None:
    workload = only_workload(
        starved(hand_made("serial", requests=5000)),
        hand_made("thread", requests=1000),
        hand_made("asyncio", requests=2000),
    )
    assert [cell.model for cell in workload.ranking] == ["asyncio", "thread", "serial"]


def test_the_summary_has_a_row_per_cell_and_units_in_the_names() -> None:
    frame = frame_of(hand_made(), with_resets(hand_made("asyncio"), 2))
    assert frame["model"].tolist() == ["thread", "asyncio"]
    assert frame["errors_reset"].tolist() == [0, 2]
    assert frame["notes"].tolist() == ["", "2 reset"]
    for metric in METRICS:
        assert {metric.name, f"{metric.name}_low", f"{metric.name}_high"} <= set(frame.columns)


def five(model: str, *requests: int) -> list[Sample]:
    return [hand_made(model, block, requests=n) for block, n in enumerate(requests)]


def test_from_eight_trials_on_a_cell_has_the_bootstraps_interval_and_not_the_range() -> None:
    spread = only_cell(*five("thread", *range(1000, 1100, 10))).figures["throughput_per_s"]
    assert 2000 < spread.low < spread.value < spread.high < 2180


def test_an_open_loop_has_response_service_and_send_lag() -> None:
    sample = changed(
        hand_made(),
        rate=2000.0,
        answered=Histogram.of([9 * MS] * 1000),
        services=Histogram.of([4 * MS] * 1000),
        send_lags=Histogram.of([5 * MS] * 1000),
    )
    figures = only_cell(sample).figures
    names = ("latency_p50_us", "service_p50_us", "send_lag_p99_us")
    assert [figures[name].value for name in names] == pytest.approx([9000, 4000, 5000], rel=1e-3)
    assert "service_p99_us" not in only_cell(hand_made()).figures


def test_what_the_generator_limited_is_at_least_and_unranked_by_throughput_alone() -> None:
    busy = [changed(sample, generator_cpu_seconds=0.48) for sample in five("thread", 9, 9, 9, 9, 9)]
    workload = only_workload(*busy, *five("asyncio", 5, 5, 5, 5, 5))
    cell = workload.cells[0]
    assert cell.verdict.limit == "generator"
    assert cell.write(THROUGHPUT) == "≥ 18.0"
    assert list(workload.ranks(THROUGHPUT)) == ["asyncio"]
    assert set(workload.ranks(CPU)) == {"asyncio", "thread"}


def test_a_trial_during_which_others_used_the_machine_is_marked_counted_and_kept() -> None:
    samples = five("thread", 1000, 1000, 1000)
    samples[1] = changed(samples[1], foreign_cpu_share=0.14)
    samples[2] = changed(samples[2], steal_share=0.02)
    cell = only_cell(*samples)
    assert cell.notes == ["2 of 3 disturbed (14%)"]
    assert cell.ranked
    assert cell.figures["throughput_per_s"].trials == 3
    assert trials_frame(samples)["disturbed"].tolist() == [False, True, True]


def test_a_trial_that_was_not_tried_says_why_and_gives_no_figures() -> None:
    stopped = changed(hand_made(), stopped="not tried: too much memory", seconds=0.0, requests=0)
    cell = only_cell(stopped)
    assert cell.notes == ["not tried: too much memory"]
    assert not cell.ranked
    assert not cell.figures


def test_levels_stand_in_the_order_of_their_numbers() -> None:
    levels = [f"64 connections, {share}% of its own" for share in (100, 25, 10)]
    samples = [changed(make_sample(), level=level) for level in levels]
    assert [w.level for w in workloads_of(make_run(), samples)] == levels[::-1]


def test_the_summary_of_a_run_without_trials_has_the_header_of_any_other() -> None:
    empty, full = frame_of(), frame_of(hand_made())
    assert not len(empty)
    assert set(empty) == {name for name in full if not str(name).startswith("errors_")}


def test_files_are_told_by_the_mebibyte() -> None:
    sample = changed(make_sample(), kind="GET", size_bytes=2**21, file_bytes=2**21)
    (workload,) = workloads_of(make_run(), [sample])
    (cell,) = workload.cells
    assert workload.headline is BANDWIDTH
    assert cell.figures[BANDWIDTH.name].value == 2 * cell.figures[THROUGHPUT.name].value
    assert cell.figures[CPU_PER_MIB.name].value * 2000 == pytest.approx(
        cell.figures[CPU.name].value
    )


def test_requests_that_move_no_file_have_no_figure_by_the_mebibyte() -> None:
    (workload,) = workloads_of(make_run(), [make_sample()])
    assert {BANDWIDTH.name, CPU_PER_MIB.name}.isdisjoint(workload.cells[0].figures)


# One model under several interpreters.


def under(interpreter: str, block: int, *, gil: bool, requests: int = 1000) -> Sample:
    return changed(
        hand_made(block=block, requests=requests),
        interpreter=interpreter,
        server={"gil": gil} if interpreter else {},
        server_user_seconds=0.4,
        server_system_seconds=0.4,
        server_cpus=[0, 1],
        client_cpus=[2],
    )


def test_a_model_under_two_interpreters_makes_two_cells_of_one_workload() -> None:
    samples = [
        under(name, block, gil=not name, requests=1000 * (1 + bool(name)))
        for block in range(6)
        for name in ("", "3.13t")
    ]
    workload = only_workload(*samples)
    assert [cell.subject for cell in workload.cells] == ["thread", "thread on 3.13t"]
    assert [len(cell.trials) for cell in workload.cells] == [6, 6]
    assert list(workload.ranks(THROUGHPUT)) == ["thread on 3.13t", "thread"]
    assert list(frame_of(*samples)["model"]) == ["thread", "thread on 3.13t"]


def test_what_a_server_may_use_follows_from_its_own_interpreter_not_from_the_conductors() -> None:
    """1.6 cores are all that a process with a GIL may use, and not all of what one without may."""
    workload = only_workload(under("", 0, gil=True), under("3.13t", 0, gil=False))
    limits = {cell.subject: cell.verdict.limit for cell in workload.cells}
    assert limits["thread"] == "server"
    assert limits["thread on 3.13t"] != "server"


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t"])
def test_no_text_of_a_csv_is_a_formula_and_every_number_stays_one(begins: str) -> None:
    frame = frame_of(changed(hand_made(), model=f"{begins}1+1")).assign(below_zero=-2.5)
    row = next(csv.DictReader(csv_of(frame).splitlines()))
    assert row["model"] == f"'{begins}1+1"
    assert row["below_zero"] == "-2.5"


def of_the_reference(block: int = 0) -> Sample:
    sample = hand_made("thread", block, requests=9000)
    return dataclasses.replace(sample, cell=sample.cell._replace(model=REFERENCE))


def test_the_reference_stands_below_all_others_and_is_nobodys_rival() -> None:
    samples = [
        hand_made(model, block, requests=requests)
        for block in range(5)
        for model, requests in (("thread", 1000 + block), ("asyncio", 500))
    ]
    samples += map(of_the_reference, range(5))
    report = report_of(make_run(), samples)
    (workload,) = report.workloads
    assert [cell.model for cell in workload.rows] == ["thread", "asyncio", REFERENCE]
    assert workload.reference is not None
    assert not workload.reference.ranked
    assert "never ranked" in workload.reference.notes[0]
    assert all(REFERENCE not in ranks for ranks in report.ranks.values())
    lead = report.answers.lead(workload, THROUGHPUT)
    assert lead is not None
    assert lead.best.model == "thread"
    assert report.trials == 10
    assert list(summary_frame(report)["model"]) == ["thread", "asyncio", REFERENCE]
    assert {cell.model for cell in chosen_of(report.run, workload)[0]} >= {"thread", REFERENCE}


def test_a_reference_without_a_model_beside_it_is_no_workload() -> None:
    assert workloads_of(make_run(), [of_the_reference()]) == []


def test_an_uneven_spread_over_processes_is_said() -> None:
    def spread(*counts: int) -> list[str]:
        return only_cell(changed(hand_made(), connections_by_process=list(counts))).notes

    assert spread(12, 52) == [f"a process had {extent(12, 52)} connections"]
    assert spread(32, 32) == spread(1, 1, 0) == spread() == []


def test_ranks_are_two_columns_of_whole_numbers() -> None:
    behind, starving = five("asyncio", *[500] * 5), map(starved, five("serial", 1))
    frame = frame_of(*five("thread", *[1000] * 5), *behind, *starving)
    rows = {row["model"]: row for row in csv.DictReader(csv_of(frame).splitlines())}
    assert {name: (row["rank_first"], row["rank_last"]) for name, row in rows.items()} == {
        "thread": ("1", "1"), "asyncio": ("2", "2"), "serial": ("", ""),
    }  # fmt: skip


def test_an_echo_of_a_big_payload_is_a_transfer_and_a_small_one_is_not() -> None:
    big = only_workload(changed(hand_made(), size_bytes=256 * 1024))
    assert big.headline is BANDWIDTH
    assert big.cells[0].figures[BANDWIDTH.name].value == 500.0  # 1,000 in 0.5 s, each a quarter
    assert only_workload(changed(hand_made(), size_bytes=64 * 1024 - 1)).headline is THROUGHPUT
