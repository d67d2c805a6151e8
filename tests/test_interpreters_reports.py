"""What a report says of interpreters: ratios with intervals, and nothing that they do not tell."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from bench.interpreters.finding import resolve
from bench.measure.placement import place
from bench.measure.trial import measure
from bench.plan.order import cells, order
from bench.plan.scenarios import SCENARIOS, find_profile
from reports.cells.gathering import workloads_of
from reports.cells.interpreters import InterpreterAxis, Matrix, axis_of, described
from reports.cells.report import Report, report_of
from reports.charts.company import company as company_chart
from reports.charts.cores import cores as cores_chart
from reports.charts.gallery import charts_of
from reports.charts.interpreters import interpreters as interpreters_chart
from reports.charts.interpreters import price
from reports.metrics import P99, PSS_LOADED, THROUGHPUT
from reports.page.html import page
from reports.page.text import Summary
from reports.record import Run, Sample
from reports.studies import company, cores
from reports.trend.compare import compare, warnings
from reports.trend.foreign import results_of_run
from reports.trend.history import Entry, entry_of, trends
from servers.catalog import MODELS, find
from tests.commands import bench_in_process
from tests.runs import changed, failed, make_run, make_sample, starved
from tests.studies import company_sample, cores_sample

NAMES = ("3.11", "3.13t")
SERVERS = {
    "3.11": {"implementation": "cpython", "python": "3.11.7", "gil": True},
    "3.13t": {"implementation": "cpython", "python": "3.13.5", "gil": False},
}


def run_over(names: Sequence[str] = NAMES) -> Run:
    told = {"3.11": {"free_threaded": False, "gil": True}, "3.13t": {"free_threaded": True}}
    facts = [{"name": name, "implementation": "cpython", **told.get(name, {})} for name in names]
    return replace(make_run(models=("thread", "asyncio")), interpreters=facts)


def under(name: str, sample: Sample, speed: float = 1.0, memory: float = 1.0) -> Sample:
    """Return a trial as it would be under an interpreter so many times as fast and as large."""
    tally = replace(sample.tally, requests=int(sample.tally.requests * speed))
    return replace(
        sample,
        cell=sample.cell._replace(interpreter=name),
        server=SERVERS.get(name, {}),
        tally=tally,
        pss_loaded_bytes=int(sample.pss_loaded_bytes * memory),
    )


@cache
def trials(speed: float, memory: float = 1.0, seed: int = 0, blocks: int = 5) -> list[Sample]:
    return [
        under(name, make_sample("compute", model, block, seed=seed + 1000 * at),
              speed if at else 1.0, memory if at else 1.0)
        for model in ("thread", "asyncio")
        for block in range(blocks)
        for at, name in enumerate(NAMES)
    ]  # fmt: skip


@cache
def report() -> Report:
    """Return a report in which the second interpreter is twice as fast, and 1.3 times as large."""
    return report_of(run_over(), trials(2.0, 1.3))


def axis() -> InterpreterAxis:
    return report().interpreters


def matrix(of: InterpreterAxis, metric: object = THROUGHPUT) -> Matrix:
    return next(each for each in of.matrices if each.metric is metric)


def test_each_figure_is_a_ratio_to_the_first_interpreter_with_its_interval() -> None:
    against = matrix(axis()).rows["thread"]["3.13t"]
    assert against.ratio
    assert against.ratio.low < 2.0 < against.ratio.high or 1.8 < against.ratio.value < 2.2
    assert against.told
    assert against.better
    assert matrix(axis()).others == ("3.13t",)
    weight = matrix(axis(), PSS_LOADED).rows["thread"]["3.13t"]
    assert weight.ratio
    assert weight.ratio.value == pytest.approx(1.3, rel=0.05)
    assert weight.told
    assert not weight.better
    assert matrix(axis(), P99).rows.keys() == {"thread", "asyncio"}


def test_the_answer_is_in_words_with_what_it_costs() -> None:
    assert any(
        sentence.startswith(("thread under 3.13t does ", "asyncio under 3.13t does "))
        and "times the COMPUTE of 3.11 (" in sentence
        and "times the memory" in sentence
        for sentence in axis().sentences
    )


def test_a_run_of_one_interpreter_says_nothing_of_interpreters() -> None:
    sample = make_sample("compute")
    assert report_of(make_run(), [sample]).interpreters == InterpreterAxis()
    named = replace(sample, cell=sample.cell._replace(interpreter="3.13t"))
    assert report_of(run_over(["3.13t"]), [named]).interpreters == InterpreterAxis()


def test_one_interpreter_under_two_names_is_not_told_apart_in_nine_of_ten_seeds() -> None:
    seeds, holding = range(10), 0
    for seed in seeds:
        samples = [each for each in trials(1.0, seed=seed) if each.cell.model == "thread"]
        found = axis_of(run_over(), workloads_of(run_over(), samples))
        ratio = matrix(found).rows["thread"]["3.13t"].ratio
        assert ratio
        holding += ratio.low <= 1 <= ratio.high
    assert holding >= 0.9 * len(seeds)


def test_what_cannot_be_claimed_says_why() -> None:
    few = report_of(run_over(), trials(2.0, blocks=2)).interpreters
    assert matrix(few).rows["thread"]["3.13t"].verdict == "too few trials to tell"
    assert any("too few trials to tell" in sentence for sentence in few.sentences)
    same = report_of(run_over(), trials(1.0)).interpreters
    assert "COMPUTE: no model is told apart under 3.13t and 3.11" in same.sentences
    assert {row["3.13t"].verdict for row in matrix(same).rows.values()} == {"not told apart"}
    broken = [
        failed(sample, "gone") if sample.cell.interpreter and sample.block == 1 else sample
        for sample in trials(2.0)
    ]
    unfair = matrix(report_of(run_over(), broken).interpreters).rows["thread"]["3.13t"]
    assert (unfair.told, unfair.verdict) == (False, "not ranked")


def limited(sample: Sample) -> Sample:
    """Return the trial with a generator that had no CPU left."""
    tally = replace(sample.tally, generator_cpu_seconds=0.99 * sample.tally.seconds)
    return replace(sample, tally=tally)


def test_what_the_generator_limited_is_a_bound_and_claimed_on_its_side_only() -> None:
    fast = [limited(each) if each.cell.interpreter == "3.13t" else each for each in trials(2.0)]
    at_least = matrix(report_of(run_over(), fast).interpreters).rows["thread"]["3.13t"]
    assert at_least.told
    assert at_least.words.startswith("\N{GREATER-THAN OR EQUAL TO}")
    both = [limited(each) for each in trials(2.0)]
    unknown = matrix(report_of(run_over(), both).interpreters).rows["thread"]["3.13t"]
    assert (unknown.told, unknown.verdict) == (False, "the generator was the limit")
    slow = [limited(each) if each.cell.interpreter == "3.13t" else each for each in trials(0.5)]
    at_least = matrix(report_of(run_over(), slow).interpreters).rows["thread"]["3.13t"]
    assert not at_least.told


def test_a_model_that_one_interpreter_cannot_run_is_missing_there_and_only_there() -> None:
    samples = [
        each
        for each in trials(2.0)
        if (each.cell.model, each.cell.interpreter) != ("asyncio", "3.13t")
    ]
    one = report_of(run_over(("3.11", "3.13t", "x")), [
        *samples, *(under("x", make_sample("compute", "asyncio", n)) for n in range(5)),
    ])  # fmt: skip
    rows = matrix(one.interpreters).rows
    assert (set(rows["thread"]), set(rows["asyncio"])) == ({"3.13t"}, {"x"})
    assert "not run" in page(one, [])


def test_what_is_unusual_about_several_interpreters_is_said_once() -> None:
    run = run_over(("3.11", "3.13t", "pypy3"))
    facts = [
        {**of, "gil": of["name"] != "3.13t", "optimized": None if of["name"] == "pypy3" else False}
        for of in run.interpreters
    ]
    html = page(report_of(replace(run, interpreters=facts), trials(2.0)), [])
    assert "3.13t without the GIL, 3.11 and 3.13t built without optimization." in html


def test_the_charts_the_page_and_the_terminal_have_the_axis() -> None:
    drawn = {chart.name: chart for chart in charts_of(report())}
    names = [name for name in drawn if name.startswith("interpreters-")]
    # These trials have too few requests for a p99 each; the price needs one load more.
    assert len(names) == 4
    assert b"3.13t" in drawn["interpreters-throughput-per-s"].images["svg"]
    html = page(report(), list(drawn.values()))
    assert 'id="interpreters"' in html
    assert "free-threaded" in html
    console = Console(width=120, record=True)
    console.print(Summary(report()))
    said = console.export_text()
    assert "times the COMPUTE of 3.11" in said
    assert "compute: Throughput" in said


def test_a_gil_that_came_back_stands_in_the_matrix_in_red() -> None:
    server = SERVERS["3.13t"] | {"free_threaded": True, "at_end": {"gil": True}}
    samples = [
        replace(each, server=server) if each.cell.interpreter == "3.13t" else each
        for each in trials(1.0)
    ]
    one = report_of(run_over(), samples)
    assert '<small class="warn">the GIL came back on</small>' in page(one, [])
    console = Console(width=140, record=True, force_terminal=True)
    console.print(Summary(one))
    assert "GIL on" in console.export_text()


def test_what_a_record_says_of_an_interpreter_may_be_anything() -> None:
    assert described({"gil": "maybe", "malloc": 7, "environment": [], "version": None})
    assert described({}) == ""
    run = replace(run_over(), interpreters=[{"name": 7}, {}, {"name": "3.11", "gil": [1]}])
    assert report_of(run, trials(1.0)).interpreters.matrices


# Never mixed.


def test_compare_holds_no_interpreter_against_another_of_the_same_name() -> None:
    newer = [
        replace(each, server={**each.server, "python": "3.13.6"})
        if each.cell.interpreter == "3.13t"
        else each
        for each in trials(1.0)
    ]
    a = results_of_run("a", run_over(), trials(1.0), ["throughput"])
    b = results_of_run("b", run_over(), newer, ["throughput"])
    assert {each.name for each in compare(a, b)} == {
        "thread on 3.11/compute/throughput",
        "asyncio on 3.11/compute/throughput",
    }
    said = [each for each in warnings(a, b) if "not compared" in each]
    assert "thread on 3.13t ran under cpython 3.13.5, GIL off and under cpython 3.13.6" in said[0]


def test_history_begins_anew_where_a_name_stands_for_another_interpreter() -> None:
    entries = []
    for day, python in enumerate(("3.13.5", "3.13.5", "3.13.6")):
        server = SERVERS["3.13t"] | {"python": python}
        samples = [
            replace(each, server=server) if each.cell.interpreter == "3.13t" else each
            for each in trials(1.0)
        ]
        run = replace(run_over(), id=f"run-{day}", started=f"2026-11-2{day}")
        entries.append(Entry.from_json(json.loads(json.dumps(entry_of(run, samples).to_json()))))
    found = {trend.model: trend for trend in trends(entries, ["cpu"])}
    assert [len(each) for each in found["thread on 3.13t"].segments] == [2, 1]
    assert [len(each) for each in found["thread on 3.11"].segments] == [3]


def test_a_stored_baseline_has_no_interpreter_to_choose(tmp_path: Path) -> None:
    done = bench_in_process("gate", "--against", "x", "--python", "3.11", cwd=tmp_path)
    assert done.returncode == 2
    assert "--python goes with --base" in done.stderr


# Live.


@pytest.mark.quiet
def test_our_own_interpreter_under_two_names_is_not_told_apart_live() -> None:
    interpreters = resolve([f"one={sys.executable}", f"other={sys.executable}"])
    profile = replace(
        find_profile("quick"), window_seconds=0.2, warm_up_seconds=0.05, ceiling_seconds=0.0
    )
    planned = cells([find("thread")], [SCENARIOS["compute"]], interpreters=interpreters)
    cpus = sorted(os.sched_getaffinity(0))
    samples = [measure(trial, profile, "live", cpus) for trial in order(planned, 6, seed=3)]
    assert [sample.failure for sample in samples] == [""] * 12
    run = replace(run_over(("one", "other")))
    for metric in (THROUGHPUT, PSS_LOADED):
        ratio = matrix(report_of(run, samples).interpreters, metric).rows["thread"]["other"].ratio
        assert ratio
        # Widened, as 1 of 30 intervals does not hold what it should: a machine is shared.
        assert ratio.low * 0.9 <= 1 <= ratio.high * 1.1


# Studies.


def test_the_speed_up_over_cores_is_told_against_the_ideal() -> None:
    samples = [
        replace(each, cell=each.cell._replace(interpreter=name))
        for block in range(5)
        for name, power in (("3.11", 0.0), ("3.13t", 1.0))
        for cpus in (1, 2, 4)
        for each in [cores_sample("thread", block, cpus, 400 * cpus**power)]
    ]
    one = report_of(run_over(), samples)
    ladder = cores.ladder_of(one)
    assert ladder
    assert cores.cpus_of(ladder) == [1, 2, 4]
    ups = {name: cores.speed_ups(ladder, f"thread on {name}") for name in NAMES}
    assert [round(each.value, 2) for each in ups["3.13t"].values()] == [1.0, 2.0, 4.0]
    assert [round(each.value, 2) for each in ups["3.11"].values()] == [1.0, 1.0, 1.0]
    section = cores.section(one)
    assert section
    assert section.finding.startswith("On 4 CPUs thread on 3.13t computes 4.00")
    assert "where 4 would be ideal, and thread on 3.11 1.00" in section.finding
    drawn = {chart.name: chart for chart in charts_of(one)}
    assert b"ideal" in drawn["study-cores"].images["svg"]
    # Without a GIL all of them may be used; with one, one process uses one.
    last = {cell.subject: cell for cell in ladder.workloads[-1].cells}
    assert last["thread on 3.11"].verdict != last["thread on 3.13t"].verdict


def test_labels_stand_where_their_lines_end_and_a_long_name_is_whole() -> None:
    long = "3.13t:PYTHON_GIL=1"
    samples = [
        replace(each, cell=each.cell._replace(interpreter=name))
        for block in range(3)
        for name, power in ((long, 0.0), ("3.13t", 1.0))
        for cpus in (1, 2, 4)
        for each in [cores_sample("thread", block, cpus, 400 * cpus**power)]
    ]
    figure = cores_chart(report_of(run_over((long, "3.13t")), samples))
    assert figure
    figure.draw_without_rendering()
    labels = {text.get_text(): text for text in figure.axes[0].texts}
    assert set(labels) == {"ideal", f"thread on {long}", "thread on 3.13t"}
    widest = max(text.get_window_extent().x1 for text in labels.values())
    assert widest <= figure.get_figwidth() * figure.dpi
    assert labels[f"thread on {long}"].get_position()[1] < 0.2
    assert labels["thread on 3.13t"].get_position()[1] > 0.8


def test_charts_say_who_was_not_ranked_and_which_level_a_panel_is_of() -> None:
    samples = [
        starved(sample) if (name, cpus) == ("3.13t", 2) else sample
        for block in range(3)
        for name in NAMES
        for cpus in (1, 2)
        for each in [cores_sample("thread", block, cpus, 400)]
        for sample in [replace(each, cell=each.cell._replace(interpreter=name))]
    ]
    one = report_of(run_over(), samples)
    figure = cores_chart(one)
    assert figure
    assert "Not ranked on all: thread on 3.13t." in [text.get_text() for text in figure.texts]
    throughputs = [each for each in one.interpreters.matrices if each.metric is THROUGHPUT]
    beside = interpreters_chart(one.run, throughputs)
    assert beside
    titles = [axes.get_title(loc="left") for axes in beside.axes]
    assert titles == ["cores, server on 1 CPU", "cores, server on 2 CPUs"]


def test_more_cpus_than_there_are_are_left_out_and_a_server_gets_so_many_of_them() -> None:
    profile = find_profile("cores")
    assert [row.serving.cpus for row in profile.within(2).scenarios] == [1, 2]
    assert {row.level.rpartition(", ")[2] for row in profile.within(2).scenarios} == {
        "server on 1 CPU", "server on 2 CPUs",
    }  # fmt: skip
    placed = [place("free", [0, 1, 2, 3], row.serving.cpus) for row in profile.within(2).scenarios]
    assert placed == [([0], [0, 1, 2, 3]), ([0, 1], [0, 1, 2, 3])]
    assert place("split", [0, 1]) == ([0], [1])


def test_switch_intervals_are_levels_of_company_and_each_has_a_chart_of_its_own() -> None:
    profile = find_profile("company").switching([0.005, 0.0005])
    levels = [row.level for row in profile.scenarios]
    assert len(set(levels)) == 2 * len(find_profile("company").scenarios)
    samples = [
        changed(each, level=f"{each.cell.level}, switch interval {interval} ms")
        for block in range(3)
        for company in (1, 2)
        for interval in ("5", "0.5")
        for each in [company_sample("thread", block, company, 3.0)]
    ]
    ladders = company.ladders_of_company(report_of(make_run(), samples))
    assert len(ladders) == 2


def test_the_price_of_a_gil_is_one_chart_of_the_figures_that_show_it() -> None:
    echoes = [
        under(name, make_sample("echo", "thread", block, seed=at))
        for block in range(5)
        for at, name in enumerate(NAMES)
    ]
    one = report_of(run_over(), [*trials(2.0, 1.3), *echoes])
    assert [(each.workload.scenario, each.metric.name) for each in one.interpreters.price] == [
        ("compute", "throughput_per_s"),
        ("echo", "cpu_us_per_request"),
        ("compute", "pss_loaded_mib"),
    ]
    figure = price(one.run, one.interpreters)
    assert figure
    assert len(figure.axes) == 3
    says = " ".join(text.get_text() for text in figure.texts)
    assert all(f"{each.workload.scenario}: {each.workload.level}." in says
               for each in one.interpreters.price)  # fmt: skip


def test_one_model_under_two_interpreters_has_two_kinds_of_line() -> None:
    samples = [
        under(name, company_sample("asyncio", block, number, 3.0))
        for block in range(3)
        for number in (1, 2)
        for name in NAMES
    ]
    families = {model.name: model.family for model in MODELS}
    run = replace(run_over(), families=families)  # in which asyncio's own line has dashes
    figure = company_chart(report_of(run, samples))
    assert figure
    drawn = [
        line.get_linestyle() for line in figure.axes[0].get_lines() if line.get_linewidth() > 1.5
    ]
    assert len({style for style in drawn if style != "None"}) == 2
