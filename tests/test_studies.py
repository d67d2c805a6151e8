"""Every study says what made-up figures hold, in a section, in its sentence and in its chart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from bench.plan.studies import STUDIES as PLANNED
from reports.cells.report import Report, report_of
from reports.charts import gallery
from reports.charts.gallery import STUDY_CHARTS, Chart, _images, charts_of
from reports.page.html import page
from reports.record import Sample
from reports.studies.registry import STUDIES, sections_of
from reports.studies.section import Section, listed
from tests.runs import MODELS, at_rate, changed, make_run, make_sample, starved
from tests.studies import (
    all_studies,
    beyond,
    company_sample,
    cost_sample,
    idle_sample,
    memory_sample,
    placed_sample,
    scaling_sample,
    study_run,
)

FAMILIES = {"serial": "sequential", "process": "processes", "thread-pool": "threads"}


def report(samples: Sequence[Sample]) -> Report:
    models = dict.fromkeys(sample.cell.model for sample in samples)
    return report_of(study_run({name: MODELS[name] for name in models}, FAMILIES), samples)


def found(name: str, samples: Sequence[Sample]) -> Section:
    """Return the section of a study, which must be the only one that the run gives."""
    sections = sections_of(report(samples))
    assert [section.name for section in sections] == [name]
    return sections[0]


def figures(section: Section, name: str, table: int = 0) -> tuple[str, ...]:
    return next(row.figures for row in section.tables[table].rows if row.name == name)


def drawn(name: str, samples: Sequence[Sample]) -> str:
    """Return the study's chart as SVG, in which words are words; empty when it draws none."""
    draw, _ = STUDY_CHARTS[name]
    return _images(name, partial(draw, report(samples))).get("svg", b"").decode()


COSTS = [
    cost_sample(model, block, cpu_us)
    for block in range(1, 6)
    for model, cpu_us in (("serial", 60.0), ("thread-pool", 100.0), ("process", 860.0))
]


def test_a_connection_costs_what_it_takes_beyond_the_baseline_s_in_the_same_block() -> None:
    section = found("connection-cost", COSTS)
    assert section.finding == (
        "Beyond the 60.0 us of CPU that serial takes (at 400 connections/s, which every model"
        " keeps), a connection costs thread-pool 40.0 us (40.0 \N{EN DASH} 40.0) and process 800"
        " us (800 \N{EN DASH} 800)."
    )
    assert figures(section, "process") == ("860", "800", "800 \N{EN DASH} 800")
    svg = drawn("connection-cost", COSTS)
    assert "thread-pool" in svg
    assert "800 us" in svg


def test_the_book_s_factor_stands_beside_ours_with_its_source() -> None:
    section = found("connection-cost", COSTS)
    assert figures(section, "1: a fork for each client: process", 1) == (
        "800", "20.0", "10 or more",
    )  # fmt: skip
    assert "section 30.13, of another machine" in section.notes[0]


def test_without_a_baseline_nothing_is_subtracted_and_nothing_drawn() -> None:
    samples = [sample for sample in COSTS if sample.cell.model != "serial"]
    assert found("connection-cost", samples).finding.startswith(
        "Without serial in the run nothing can be subtracted"
    )
    assert drawn("connection-cost", samples) == ""


SCALED = [
    scaling_sample(model, block, connections, per_second)
    for block in range(1, 4)
    for model, rates in (
        ("thread-pool", (10_000, 50_000, 25_000)),
        ("process", (8_000, 20_000, 18_000)),
    )
    for connections, per_second in zip((1, 64, 1_000), rates, strict=True)
]  # fmt: skip


def test_scaling_says_what_is_left_of_the_best_throughput() -> None:
    section = found("scaling", SCALED)
    assert section.finding.startswith(
        "Between 1 and 1,000 connections process keeps 90% of its best throughput and thread-pool"
        " 50%; over 1,000 of them thread-pool answers the most, 25,000 requests/s"
    )
    assert figures(section, "process") == ("8,000", "20,000", "18,000", "90%")
    svg = drawn("scaling", SCALED)
    assert "threads: Throughput" in svg
    assert "processes: Throughput" in svg


def test_a_model_that_starves_connections_is_starred_and_keeps_nothing() -> None:
    starving = [
        starved(sample) if sample.load.connections > 1 else sample
        for sample in SCALED
        if sample.cell.model == "process"
    ]
    section = found("scaling", starving)
    assert section.finding == "No model served more connections than 1 without an error."
    assert figures(section, "process") == ("8,000", "20,000*", "18,000*", "\N{EN DASH}")


def curve(model: str, capacity: float) -> list[Sample]:
    return [
        at_rate(
            make_sample("echo", model, block), share * capacity,
            f"64 connections, 1 KiB, {share:.0%} of its own capacity", capacity=capacity,
        )
        for block in range(1, 4)
        for share in (0.1, 0.4, 0.7, 1.0, 1.2)
    ]  # fmt: skip


def test_the_plane_names_the_most_that_is_answered_within_a_promise() -> None:
    samples = [*curve("thread-pool", 40_000), *curve("process", 20_000)]
    section = found("curve", samples)
    assert section.finding == (
        "With its p99 below 2.00 ms, a model answers at most, in requests/s: thread-pool 28,000"
        " and process 14,000."
    )
    assert figures(section, "process")[3:] == ("20,000", "14,000")
    svg = drawn("curve", samples)
    assert "thread-pool" in svg
    assert "requests/s that were answered" in svg


def test_scaling_is_told_up_to_the_most_connections_that_any_model_served() -> None:
    starving = [
        starved(sample) if sample.load.connections == 1_000 else sample for sample in SCALED
    ]
    section = found("scaling", starving)
    assert section.finding.startswith("Between 1 and 64 connections ")
    assert section.finding.endswith("; no model served all of 1,000.")


COMPANY = [
    company_sample(model, block, company, p99)
    for block in range(1, 4)
    for model, p99s in (("thread-pool", (0.4, 10.0, 40.0)), ("process", (0.4, 1.0, 2.0)))
    for company, p99 in zip((0, 1, 8), p99s, strict=True)
]


def test_company_says_what_small_requests_wait_for_and_what_that_bought() -> None:
    section = found("company", COMPANY)
    assert section.finding.startswith("Beside 8 that compute, the p99 of small requests is 2.0")
    assert "with process (300 COMPUTEs/s, " in section.finding
    assert " with thread-pool (300 COMPUTEs/s, " in section.finding
    assert section.tables[0].headings == ("Model", "0", "1", "8", "COMPUTEs/s beside 8")
    assert "connections that keep a COMPUTE under way" in drawn("company", COMPANY)


def test_cpu_per_request_in_company_is_not_given_as_the_company_s_is_in_it() -> None:
    cells = {
        cell.load.company: cell.figures
        for workload in report(COMPANY).workloads
        for cell in workload.cells
    }
    assert "cpu_us_per_request" in cells[0]
    assert "cpu_us_per_request" not in cells[8]
    assert "company_per_s" in cells[8]
    assert "company_per_s" not in cells[0]


def test_another_dimension_of_company_is_a_panel_and_a_table_of_its_own() -> None:
    other = [
        changed(sample, level=f"{sample.cell.level}, switch 1 ms", connect_timeout_seconds=9.0)
        for sample in COMPANY
    ]
    section = found("company", [*COMPANY, *other])
    assert [table.caption.partition(";")[0].rpartition(": ")[2] for table in section.tables] == [
        "8 connections, 64 B, 200/s", "8 connections, 64 B, 200/s, switch 1 ms",
    ]  # fmt: skip
    assert "switch 1 ms" in drawn("company", [*COMPANY, *other])


def test_a_model_that_does_not_serve_the_company_is_not_named() -> None:
    samples = [
        changed(sample, errors={**sample.tally.errors, "unfinished": 8})
        if sample.cell.model == "process" and sample.load.company
        else sample
        for sample in COMPANY
    ]
    section = found("company", samples)
    assert "process" not in section.finding
    assert figures(section, "process")[1].endswith("*")


def test_the_idle_ladder_says_how_many_were_held_and_what_stopped_the_others() -> None:
    why = "stopped at 1,000 idle connections: 100,000 would take 61.0 GiB"
    samples = []
    for block in range(1, 4):
        for idle in (1_000, 100_000):
            samples.append(idle_sample("thread-pool", block, idle, 4.0))
            rung = idle_sample("process", block, idle, 640.0)
            samples.append(beyond(rung, why) if idle > 1_000 else rung)
    section = found("idle-ladder", samples)
    assert section.finding.startswith(
        "Of 100,000 idle connections thread-pool holds 100,000 at 4.00 KiB each, with a p99 of "
    )
    assert section.finding.endswith("the dearest is process with 640 KiB each at 1,000.")
    assert figures(section, "process")[-1] == why
    assert figures(section, "thread-pool")[3] == "6.67"
    charts = [chart for chart in charts_of(report(samples)) if chart.study == "idle-ladder"]
    assert "number of idle connections" in charts[0].images["svg"].decode()


def test_memory_says_what_the_payload_adds_to_a_connection() -> None:
    samples = [
        memory_sample(model, block, connections, size, mib)
        for block in range(1, 4)
        for model, sizes in (("thread-pool", (10.0, 26.0)), ("process", (50.0, 51.0)))
        for connections in (8, 64)
        for size, mib in zip((1024, 262_144), sizes, strict=True)
    ]
    section = found("memory", samples)
    assert section.finding == (
        "From 64 x 1 KiB to 64 x 256 KiB a connection of process grows by 16.0 KiB, one of"
        " thread-pool by 256 KiB, to 26.0 MiB in all."
    )
    assert figures(section, "thread-pool") == ("10.0", "26.0", "10.0", "26.0", "256")
    assert "64 connections" in drawn("memory", samples)


def test_placement_is_said_in_one_sentence_for_all_that_ran_at_both() -> None:
    samples = [
        placed_sample(model, block, placement, per_second)
        for block in range(1, 4)
        for model, rates in (("thread", (30_000, 10_000)), ("coroutine", (50_000, 50_000)))
        for placement, per_second in zip(("split", "free"), rates, strict=True)
    ] + [placed_sample("process", block, "split", 20_000) for block in range(1, 4)]
    section = found("placement", samples)
    assert section.finding == (
        "Placement alone moves echo by a factor of up to 3.00 (thread): in requests/s, split"
        " (server on 1 CPU) against free (server on 2 CPUs), thread 30,000 against 10,000 and"
        " coroutine 50,000 against 50,000."
    )
    assert {row.name for row in section.tables[0].rows} == {"thread", "coroutine"}


def test_a_run_that_asked_no_study_has_no_section_and_no_chart_of_one() -> None:
    plain = report_of(make_run(), [make_sample("churn", model) for model in MODELS])
    assert sections_of(plain) == []
    assert not any(_images(name, partial(draw, plain)) for name, (draw, _) in STUDY_CHARTS.items())


def test_every_study_that_is_planned_has_a_section_but_those_that_a_ladder_tells() -> None:
    assert PLANNED.keys() - STUDIES.keys() == {"rate", "connections", "backlog"}
    assert STUDIES.keys() - PLANNED.keys() == {"hosts", "placement", "udp"}


def test_a_section_stands_on_the_page_with_its_finding_and_its_chart() -> None:
    models = {name: (FAMILIES[name], MODELS[name]) for name in ("serial", "process")}
    whole = report_of(*all_studies(models, blocks=1))
    names = STUDIES.keys() & PLANNED.keys()
    html = page(
        whole,
        [Chart(name, name, "", f"{name}: it", {"svg": b"<svg></svg>"}, name) for name in names],
    )
    for name in names:
        section = html.partition(f'<section id="study-{name}">')[2].partition("</section>")[0]
        assert "<strong>" in section
        assert f'<title id="{name}-t">{name}</title>' in section


def test_a_study_s_chart_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "WORKLOAD_CHARTS", {})  # which are not asked for here
    (chart,) = charts_of(report(COSTS))
    assert (chart.study, chart.name) == ("connection-cost", "study-connection-cost")


def test_words_are_listed_as_in_a_sentence() -> None:
    assert [listed(words) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
