"""A stored run told to somebody: a chart for a slide, a site of pages, advice."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from reports.cells.report import Report, read_report
from reports.shelf.advice import Advice, Asked, advise
from reports.store import RunFolder, Store
from tests.commands import bench_in_process
from tests.runs import make_run, make_sample

MODELS = ("thread", "process", "coroutine", "asyncio")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a run of four models under two loads."""
    folder = Store(tmp_path_factory.mktemp("shelf") / "runs").create(
        make_run(MODELS, ("echo", "churn"))
    )
    for block in range(5):
        for model in MODELS:
            for scenario in ("echo", "churn"):
                folder.append(make_sample(scenario, model, block))
    return folder


@pytest.fixture(scope="module")
def report(stored: RunFolder) -> Report:
    return read_report(stored)


def answer(report: Report, **asked: Any) -> Advice:
    found = advise(report, Asked()._replace(**asked))
    assert found
    return found


def test_the_model_that_surely_leads_is_named_and_the_workload_that_stood_for_it(
    report: Report,
) -> None:
    found = answer(report)
    assert (found.named, found.scenario, found.distance) == (("coroutine",), "echo", ())


def test_who_surely_misses_a_limit_is_not_named(report: Report) -> None:
    found = answer(report, memory_mib=9.0)
    assert found.named == ()
    against = {each.model: each.against for each in found.candidates}
    assert "MiB with 64 connections" in against["process"][0]


def test_a_load_far_from_what_was_measured_is_said_to_be(report: Report) -> None:
    found = answer(report, connections=6_400, memory_mib=30.0)
    assert "100 times as many" in found.distance[0]
    thread = next(each for each in found.candidates if each.model == "coroutine")
    assert "nobody looked" in thread.untold[0]


def test_a_kind_of_request_that_was_not_run_is_said_to_be_missing(report: Report) -> None:
    assert "no workload of wait requests" in answer(report, request="wait").distance[0]


def test_short_connections_have_the_workload_of_their_own(report: Report) -> None:
    assert answer(report, request="short").scenario == "churn"


def test_with_pauses_cpu_decides_and_too_few_cores_rule_out(report: Report) -> None:
    found = answer(report, connections=64, think_ms=0.5, cores=1)
    assert found.by.startswith("CPU")
    against = {each.model: each.against for each in found.candidates}
    assert any("cores at that rate" in words for words in against["asyncio"])


def test_nobody_is_named_from_too_few_trials(tmp_path: Path) -> None:
    folder = Store(tmp_path / "runs").create(make_run(MODELS, ("echo",), blocks=2))
    for block in range(2):
        for model in MODELS:
            folder.append(make_sample("echo", model, block))
    found = answer(read_report(folder))
    assert found.named == ()
    assert "too few trials" in found.unknown[0]


def test_advise_prints_the_answer_and_what_is_not_known(stored: RunFolder) -> None:
    words = ("advise", "--connections", 64, "--results", stored.path.parent)
    done = bench_in_process(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("coroutine, by Throughput under echo")
    assert "not known: your network" in done.stdout
    assert json.loads(bench_in_process(*words, "--json").stdout)["named"] == ["coroutine"]


@pytest.mark.parametrize("kind", ["throughput", "p99", "cpu", "memory", "plane", "percentiles"])
def test_a_slide_has_no_letter_smaller_than_a_fiftieth_of_its_width(
    kind: str, stored: RunFolder, tmp_path: Path
) -> None:
    path = tmp_path / "slide.svg"
    done = bench_in_process(
        "chart", kind, "--output", path, "--results", stored.path.parent, "--theme", "dark"
    )
    assert done.returncode == 0, done.stderr
    svg = path.read_text()
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    assert width / height == pytest.approx(16 / 9)
    sizes = [float(each) for each in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= width / 50 * 0.999  # as written, rounded


def test_a_slide_is_as_wide_as_asked(stored: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "slide.png"
    words = ("chart", "cpu", "--width", 640, "--output", path, "--results", stored.path.parent)
    assert bench_in_process(*words).returncode == 0
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (640, 360)


def test_an_unknown_kind_of_slide_is_told_the_kinds(stored: RunFolder) -> None:
    done = bench_in_process("chart", "pie", "--results", stored.path.parent)
    assert done.returncode == 2
    assert "throughput, p99, cpu, memory, plane, percentiles" in done.stderr
    assert [row["kind"] for row in json.loads(bench_in_process("chart", "--list", "--json").stdout)]


def test_a_site_links_every_page_relatively_and_takes_no_foreign_page(
    stored: RunFolder, tmp_path: Path
) -> None:
    (stored.path / "report.html").write_text("<script>foreign()</script>")
    history = tmp_path / "history.jsonl"
    results = ("--results", stored.path.parent)
    assert bench_in_process("history", "add", "--history", history, *results).returncode == 0
    done = bench_in_process("site", tmp_path / "public", "--history", history, *results)
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "public" / "index.html").read_text()
    links = re.findall(r'href="([^"#:]+)"', index)
    assert len(links) == 3
    assert all((tmp_path / "public" / link).is_file() for link in links)
    report = (tmp_path / "public" / "runs" / stored.path.name / "report.html").read_text()
    assert "foreign()" not in report
    assert not re.search(r'(?:src|href)="(?:https?:)?//', index + report)
