"""Several results in one page: panels by machine, ratios within them, a run twice told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from reports.record import Run, Sample
from reports.shelf.several import several
from reports.store import Store
from reports.trend.compare import Answer, Results
from reports.trend.foreign import results_of_run
from tests.commands import bench_in_process
from tests.runs import MACHINE, make_run, make_sample

MODELS = ("thread", "coroutine")


def run_of(
    name: str, machine: dict[str, object] | None = None, *, seed: int = 0
) -> tuple[Run, list[Sample]]:
    run = dataclasses.replace(
        make_run(MODELS, ("echo",)), id=name, machine={**MACHINE, **(machine or {})}
    )
    samples = [
        make_sample("echo", model, block, seed=seed) for model in MODELS for block in range(5)
    ]
    return run, samples


def results(name: str, machine: dict[str, object] | None = None, *, seed: int = 0) -> Results:
    return results_of_run(name, *run_of(name, machine, seed=seed), ["throughput", "cpu"])


def test_runs_of_one_machine_share_a_panel_and_are_held_against_the_first() -> None:
    found = several([results("a"), results("b", seed=1)])
    (panel,) = found.panels
    assert [each.label for each in panel.results] == ["a", "b"]
    for row in panel.rows:
        first, second = row.entries
        assert first
        assert second
        assert first.against is None
        assert second.against
        assert second.against.answer is Answer.SAME
        assert first.low < first.series.value < first.high


def test_another_machine_has_a_panel_of_its_own_and_no_ratio() -> None:
    found = several([results("a"), results("b", {"cpu": "Another"}, seed=1)])
    assert len(found.panels) == 2
    entries = [entry for panel in found.panels for row in panel.rows for entry in row.entries]
    assert [entry.against for entry in entries if entry] == [None] * 8
    assert any("nothing is compared between them" in remark for remark in found.remarks)


def test_the_same_run_twice_is_told_and_shown_once() -> None:
    found = several([results("a"), results("a")])
    assert len(found.panels[0].results) == 1
    assert found.remarks[0] == "a is the same result as a: it is shown once"


def test_what_does_not_say_its_cpu_is_nobodys_machine() -> None:
    silent = dataclasses.replace(results("b", seed=1), machine={})
    assert len(several([results("a"), silent]).panels) == 2


def test_the_verb_writes_one_page_of_several_runs_with_words_escaped(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for name, cpu in (("one", "<b>Fast</b>"), ("two", "<b>Fast</b>")):
        run, samples = run_of(name, {"cpu": cpu}, seed=len(name + cpu) + (name == "two"))
        folder = store.create(run)
        for sample in samples:
            folder.append(sample)
    words = ("report", "one", "two", "--results", tmp_path / "runs")
    done = bench_in_process(*words)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "several.html").read_text()
    assert "&lt;b&gt;Fast&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    rows = json.loads(bench_in_process(*words, "--json").stdout)["panels"][0]["rows"]
    assert rows[0]["results"][1]["answer"]
