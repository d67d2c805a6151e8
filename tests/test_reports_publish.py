"""A run made readable: the files, and the page that opens offline."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bench.verbs.common import app
from bench.verbs.runs import report as _report  # noqa: F401  # a verb is known once imported
from reports.cells.answers import ASKED
from reports.cells.report import read_report
from reports.cells.workload import Workload
from reports.histogram import Histogram
from reports.metrics import Metric
from reports.page.html import experiments_of, machine_facts
from reports.page.publish import publish
from reports.page.text import Summary
from reports.record import Run, Sample
from reports.stats import Ranks
from reports.store import FILE, RunFolder, Store, StoreError
from tests.runs import changed, failed, make_run, make_sample, standard_run, studies_run

EXPERIMENTS = {
    "benchmarks": [
        {
            "group": "one round trip",
            "name": "test_round_trip[thread]",
            "param": "thread",
            "stats": {"median": 1.234e-4, "iqr": 2e-6, "rounds": 50},
        }
    ]
}


def stored(at: Path, run: Run, samples: Sequence[Sample]) -> RunFolder:
    folder = Store(at / "runs").create(run)
    for sample in samples:
        folder.append(sample)
    return folder


def published(folder: RunFolder, on_step: Callable[[str], None] = lambda _step: None) -> list[Path]:
    return publish(folder, read_report(folder), on_step)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = stored(
        tmp_path_factory.mktemp("published"), *standard_run(2, ("echo", "churn", "bulk"))
    )
    (folder.path / "experiments.json").write_text(json.dumps(EXPERIMENTS))
    published(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: RunFolder) -> str:
    """What stands without scripts; what its script adds is tested in browsers."""
    return without_scripts(folder)


def without_scripts(folder: RunFolder) -> str:
    text = (folder.path / "report.html").read_text(encoding="utf-8")
    static, template, _ = text.partition("<template")
    assert template
    return static


class Links(HTMLParser):
    """Collects what a page refers to, and the ids that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]


def test_the_page_asks_for_nothing_from_outside(page: str) -> None:
    links = Links(page)
    assert links.targets
    assert all(target.startswith(("#", "data:")) for target in links.targets)
    assert not links.tags & {"script", "iframe", "object", "embed"}
    assert not re.search(r"@import|url\((?!#)", page)


def test_every_anchor_leads_somewhere_and_ids_are_unique(page: str) -> None:
    links = Links(page)
    anchors = {target[1:] for target in links.targets if target.startswith("#")}
    assert anchors <= set(links.ids)
    assert len(links.ids) == len(set(links.ids))


def test_the_summary_stands_first_and_the_rest_follows(page: str) -> None:
    headings = re.findall(r"<h2>\s*([^<\n]+)", page)
    assert [heading.strip() for heading in headings] == [
        "Which model for which workload",
        "echo",
        "churn",
        "bulk",
        "Experiments",
        "Errors and failures",
        "The machine",
        "The method",
    ]


def test_the_page_says_how_many_trials_were_of_a_server_that_had_served(page: str) -> None:
    said = re.search(r"(\d+) trials measured a server that had served before", page)
    assert said
    assert int(said[1]) > 0


def test_the_page_says_when_on_what_and_what_went_wrong(page: str) -> None:
    for words in (
        "2026-11-23 18:30 UTC", "AMD EPYC 7B13", "CPython 3.11.2", "1 of 64 served", "6 reset",
        "the server gave no ready line within 10 s", "126 unfinished", "123 us", "94%",
        "Lowest p99 latency</th>", "unclear</span>", "windows of 0.6 s",
        "over the loopback interface",
    ):  # fmt: skip
        assert words in page


def test_two_blocks_are_too_few_to_tell_models_apart(page: str) -> None:
    assert "too few trials to tell" in page


def test_all_charts_are_inside_the_page_and_in_their_folder(folder: RunFolder, page: str) -> None:
    assert page.count("<svg ") == page.count("</desc>") == 12
    assert "<title id=" in page
    assert "base64" not in page
    assert len(list((folder.path / "charts").glob("*.png"))) == 12
    assert len(list((folder.path / "charts").glob("*.svg"))) == 12


def test_the_summary_file_reads_back_with_a_row_per_cell(folder: RunFolder) -> None:
    frame = pd.read_csv(folder.path / "summary.csv")
    assert len(frame) == 3 * 8
    assert frame["throughput_per_s"].notna().sum() == 3 * 8 - 1  # one model never started


def test_text_from_a_server_cannot_become_markup(tmp_path: Path) -> None:
    run = make_run(["thread"], ["echo"])
    folder = stored(tmp_path, run, [failed(make_sample(), "<script>alert(1)</script>")])
    published(folder)
    assert "<script>alert" not in (folder.path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in without_scripts(folder)


def test_publishing_again_writes_the_same_and_removes_what_no_longer_belongs(
    tmp_path: Path,
) -> None:
    folder = stored(tmp_path, make_run(), [make_sample()])
    first = {path: path.read_bytes() for path in published(folder)}
    stale = folder.path / "charts" / "gone-overview.png"
    stale.write_bytes(b"")
    second = {path: path.read_bytes() for path in published(folder)}
    assert first == second
    assert not stale.exists()


def test_a_run_cut_short_is_published_with_a_warning(tmp_path: Path) -> None:
    folder = stored(tmp_path, make_run(), [make_sample()])
    with (folder.path / FILE).open("a") as file:
        file.write('{"type": "sam')
    published(folder)
    assert "ends in half a line" in (folder.path / "report.html").read_text(encoding="utf-8")


def test_a_run_without_trials_is_published_and_says_so(tmp_path: Path) -> None:
    steps: list[str] = []
    paths = published(stored(tmp_path, make_run(), []), steps.append)
    assert [path.name for path in paths] == ["summary.csv", "report.html"]
    assert "No trial of this run was finished" in paths[-1].read_text(encoding="utf-8")
    assert steps == ["wrote summary.csv", "wrote report.html"]


def test_a_broken_histogram_is_a_sentence(tmp_path: Path) -> None:
    sample = changed(make_sample(), answered=Histogram.encoded("broken"))
    folder = stored(tmp_path, make_run(), [sample])
    with pytest.raises(StoreError, match="cannot be shown: not an encoded HdrHistogram"):
        published(folder)


def test_no_link_in_the_folder_of_a_foreign_run_is_followed(tmp_path: Path) -> None:
    folder = stored(tmp_path, make_run(["thread"], ["echo"]), [make_sample()])
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "mine.png").write_text("dear")
    (victim / "file").write_text("dear")
    (folder.path / "charts").symlink_to(victim)
    for name in ("report.html", "summary.csv"):
        (folder.path / name).symlink_to(victim / "file")
    published(folder)
    assert {path.name: path.read_text() for path in victim.iterdir()} == {
        "mine.png": "dear",
        "file": "dear",
    }
    assert not any(path.is_symlink() for path in folder.path.iterdir())
    assert len([*(folder.path / "charts").iterdir()]) >= 2


def test_a_link_among_the_charts_is_replaced_and_not_followed(tmp_path: Path) -> None:
    folder = stored(tmp_path, make_run(["thread"], ["echo"]), [make_sample()])
    chart = next(path for path in published(folder) if path.suffix == ".png")
    victim = tmp_path / "victim"
    victim.write_text("dear")
    chart.unlink()
    chart.symlink_to(victim)
    (folder.path / "charts" / "old.png").symlink_to(victim)
    published(folder)
    assert victim.read_text() == "dear"
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert not (folder.path / "charts" / "old.png").is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()], ids=["fifo", "folder"])
def test_experiments_that_are_no_regular_file_are_a_sentence(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = stored(tmp_path, make_run(["thread"], ["echo"]), [make_sample()])
    make(folder.path / "experiments.json")
    with pytest.raises(StoreError, match=r"experiments\.json"):
        published(folder)


def test_experiments_of_another_kind_are_a_sentence(tmp_path: Path) -> None:
    folder = stored(tmp_path, make_run(), [])
    (folder.path / "experiments.json").write_text('{"benchmarks": [1]}')
    with pytest.raises(StoreError, match="not the JSON of pytest-benchmark"):
        published(folder)


def test_a_disk_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    folder = stored(tmp_path, make_run(), [])
    (folder.path / "report.html").mkdir()
    with pytest.raises(StoreError, match=r"cannot write the report into .*: Is a directory"):
        published(folder)


def test_experiments_are_read_with_their_unit() -> None:
    (row,) = experiments_of(json.dumps(EXPERIMENTS))
    assert (row.group, row.name, row.median, row.rounds) == (
        "one round trip",
        "thread",
        "123 us",
        50,
    )


def test_facts_of_the_machine_are_in_words_and_unknown_ones_are_kept() -> None:
    facts = dict(machine_facts({"gil": True, "memory_bytes": 8 * 2**30, "colour": "grey"}))
    assert facts == {"GIL": "yes", "Memory": "8.00 GiB", "colour": "grey"}


@pytest.fixture(scope="module")
def studies_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = stored(tmp_path_factory.mktemp("studies"), *studies_run(1))
    return published(folder)[-1].read_text(encoding="utf-8")


def test_the_page_of_studies_gives_knees_stops_and_what_waking_up_costs(studies_page: str) -> None:
    for sentence in (
        "Where response times bend", "5.20 us with placement same", "98.0 us with placement split",
        "stopped at 1,000 idle connections: 10,000 would take 6.5 GiB", "Send lag p99",
        "SYNs sent again", "many idle connections (too few trials to tell: 1 of the 5",
        "PSS per connection",
    ):  # fmt: skip
        assert sentence in studies_page


def test_rates_of_each_models_own_are_no_contest(studies_page: str) -> None:
    summary = studies_page[: studies_page.index("Where response times bend")]
    assert "<small>64 connections, 1 KiB, 7,500/s</small>" in summary
    assert "<small>64 connections, 1 KiB, 10% of its own capacity</small>" not in summary


def test_a_need_without_a_scenario_in_the_run_says_so(page: str) -> None:
    assert re.search(r"No answer from this run: [^.]*cpu-heavy requests;", page)
    assert "threadmill run --scenarios connections,compute,wait,rate,churn,bulk --blocks 5" in page


def test_a_run_without_trials_has_a_summary_file_with_a_header(tmp_path: Path) -> None:
    summary, _ = published(stored(tmp_path, make_run(), []))
    assert "throughput_per_s" in pd.read_csv(summary).columns


def test_one_connection_has_what_waking_up_costs_beside_it(tmp_path: Path) -> None:
    run = replace(make_run(), wake_up_ns={"split": 98_000.0})
    sample = changed(make_sample(), connections=1, level="1 connection, 1 KiB")
    published(folder := stored(tmp_path, run, [sample]))
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert "a server that does nothing takes 98.0 us" in page


def test_ranks_are_computed_once_for_all_renderers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[str, str], str]] = []
    ranks = Workload.ranks

    def counted(workload: Workload, metric: Metric) -> dict[str, Ranks]:
        asked.append((workload.name, metric.name))
        return ranks(workload, metric)

    monkeypatch.setattr(Workload, "ranks", counted)
    report = read_report(folder := stored(tmp_path, *standard_run(1, ("echo", "churn"))))
    publish(folder, report)
    Console(file=io.StringIO()).print(Summary(report))
    assert len(asked) == len(set(asked)) == 2 * len(ASKED)


def test_a_runs_file_is_read_once_for_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read = RunFolder.read

    def counted(folder: RunFolder, **options: bool) -> tuple[Run, list[Sample]]:
        reads.append(folder.path)
        return read(folder, **options)

    monkeypatch.setattr(RunFolder, "read", counted)
    folder = stored(tmp_path, make_run(), [make_sample()])
    app(["report", "--results", str(tmp_path / "runs")], standalone_mode=False)
    assert reads == [folder.path]
