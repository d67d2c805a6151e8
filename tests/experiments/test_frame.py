"""The frame of the experiments: rules, children, records, pages and the command."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.experiments import conduct as conducting
from bench.experiments.code import measured_part
from bench.experiments.conduct import Asked, run_one
from bench.experiments.figures import Found, NotMeasured, ratio
from bench.experiments.lab import EFFORTS, Lab
from bench.experiments.registry import EXPERIMENTS, UnknownExperiment, find
from bench.experiments.rules import Verdict, all_of, at_least, at_most, between, exactly, verdict_of
from bench.measure import meter
from reports.experiments.chart import chart
from reports.experiments.finding import UNITS, VERDICTS, Row
from reports.experiments.markdown import markdown
from reports.experiments.page import page
from reports.experiments.record import FILE, Finding
from reports.experiments.table import figures_of
from reports.experiments.text import FindingText
from reports.units import MISSING
from tests.commands import bench_in_process

ROOT = Path(__file__).parents[2]


def row(low: float, high: float, case: str = "one", unit: str = "s") -> Row:
    return Row(case, "figure", unit, (low + high) / 2, low, high, 3)


FINDING = Finding(
    name="creation",
    question="What?",
    claim="a < b & c",
    section="5.5",
    varies="who",
    measures="time",
    refuted_by="none",
    advice="Do.",
    effort="quick",
    started="2026-11-24T20:00:00+00:00",
    seconds=1.0,
    interpreter={"implementation": "cpython", "python": "3.11.7", "gil": True},
    machine={"cpu": "some CPU"},
    code="<script>alert(1)</script>",
    rows=[row(1e-6, 2e-6), row(0.5, 0.7, "other | one")],
    notes=["a note"],
    verdict="holds",
    because="it is 0.1; the claim needs at most 0.2",
)


# Rules.


@pytest.mark.parametrize(
    ("rule", "holds", "refuted", "untold"),
    [
        (lambda each: at_least(each, 5, "{}"), (5, 6), (1, 4.9), (4, 6)),
        (lambda each: at_most(each, 5, "{}"), (4, 5), (5.1, 6), (4, 6)),
        (lambda each: between(each, 2, 5, "{}"), (2, 5), (5.1, 6), (1, 3)),
        (lambda each: between(each, 2, 5, "{}"), (3, 3), (0, 1), (4, 6)),
    ],
)
def test_a_bound_within_the_interval_is_not_told(
    rule: Callable[[Row], Verdict],
    holds: tuple[float, float],
    refuted: tuple[float, float],
    untold: tuple[float, float],
) -> None:
    assert rule(row(*holds)).verdict == "holds"
    assert rule(row(*refuted)).verdict == "refuted"
    assert rule(row(*untold)).verdict == "untold"


def test_a_count_holds_only_if_every_round_had_it() -> None:
    assert exactly(row(2, 2), 2, "{}").verdict == "holds"
    assert exactly(row(2, 3), 2, "{}").verdict == "refuted"


def test_of_several_parts_the_worst_decides_and_is_said_first() -> None:
    parts = [Verdict("holds", "one"), Verdict("untold", "two"), Verdict("refuted", "three")]
    assert all_of(parts) == Verdict("refuted", "Three. Two. One")
    assert all_of(parts[:2]) == Verdict("untold", "Two. One")
    assert all_of(parts[:1]).verdict == "holds"
    assert all_of(parts[:1] * 5) == Verdict("holds", "One. One. One. 2 more parts hold")


def test_the_sentence_has_the_figure_and_what_it_would_have_to_be() -> None:
    assert at_most(row(1, 3), 5, "it takes {}").because == (
        "it takes 2.00 s (1.00 s to 3.00 s); the claim needs at most 5.00 s"
    )


def test_a_figure_that_is_missing_leaves_a_claim_untold() -> None:
    found = verdict_of(lambda found: at_most(found.of("nobody"), 1, "{}"), [row(1, 1)])
    assert found.verdict == "untold"
    assert "nobody" in found.because
    with pytest.raises(NotMeasured):
        Found([]).of("one")


def test_a_ratio_is_as_wide_as_both_intervals_allow() -> None:
    assert ratio(row(2, 4), row(1, 2)) == (2.0, 1.0, 4.0)


# The registry.


def test_every_row_has_a_module_that_measures_and_judges() -> None:
    for experiment in EXPERIMENTS:
        module = import_module(experiment.module)
        assert callable(module.measure), experiment.name
        assert callable(module.judge), experiment.name
        assert verdict_of(module.judge, []).verdict == "untold", experiment.name
        assert all(experiment), experiment.name


def test_every_module_of_an_experiment_has_a_row() -> None:
    folder = ROOT / "bench" / "experiments"
    modules = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.glob("*/*.py")
        if "\ndef measure(" in path.read_text(encoding="utf-8")
    }
    assert modules == {experiment.entry for experiment in EXPERIMENTS}


def test_names_are_unique_and_a_wrong_one_is_told_the_nearest() -> None:
    assert len({each.name for each in EXPERIMENTS}) == len(EXPERIMENTS)
    with pytest.raises(UnknownExperiment, match="'creation'"):
        find("creatoin")


# Children.

SMALL = {
    "well": 'lab.report("a", "b", "count", [1, 2, 4])',
    "fails": 'lab.report("a", "b", "count", 1); raise ValueError("on purpose")',
    "dies": 'lab.report("a", "b", "count", 1); import os; os._exit(7)',
    "hangs": 'lab.report("a", "b", "count", 1); import threading; threading.Event().wait()',
    "leaves": (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c',"
        " 'import signal; signal.pause()'], start_new_session=False);"
        'lab.report("pid", "b", "count", p.pid)'
    ),
    "times": 'lab.time("a", "b", lambda: None, per=2, iterations=3)',
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Experiments of a few words, found by a child as the real ones are."""
    program = (
        "import sys\nfrom types import ModuleType\n"
        "from bench.experiments import child, registry\n"
        "from bench.experiments.registry import EXPERIMENTS\n"
        "name, effort = sys.argv[1:]\n"
        "module = ModuleType('small'); sys.modules['small'] = module\n"
        f"exec('def measure(lab):\\n    ' + {SMALL!r}[name], module.__dict__)\n"
        "child.find = lambda name: EXPERIMENTS[0]._replace(name=name)\n"
        "child.import_module = lambda name: module\n"
        "child.measured_part = lambda module: 'code'\n"
        "child.end_with_the_conductor()\n"
        "sys.exit(child.main(name, effort))\n"
    )
    path = tmp_path / "small.py"
    path.write_text(program)
    monkeypatch.setattr(conducting, "CHILD", (str(path),))
    return path


def run_small(name: str) -> Finding:
    experiment = EXPERIMENTS[0]._replace(name=name)
    return run_one(experiment, Asked("least"), lambda _: None)[0]


@pytest.mark.usefixtures("small")
def test_a_child_tells_rows_code_and_interpreter() -> None:
    found = run_small("well")
    assert found.failure == ""
    assert found.rows == [Row("a", "b", "count", 2.0, 1.0, 4.0, 3)]
    assert found.code == "code"
    assert found.interpreter["python"].startswith("3.")
    assert found.interpreter.keys() == {"implementation", "python", "gil", "jit"}


@pytest.mark.parametrize(
    ("name", "words"), [("fails", "ValueError: on purpose"), ("dies", "ended with 7")]
)
@pytest.mark.usefixtures("small")
def test_a_child_that_fails_keeps_its_rows_and_is_untold(name: str, words: str) -> None:
    found = run_small(name)
    assert words in found.failure
    assert (found.verdict, len(found.rows)) == ("untold", 1)
    assert words in found.because


@pytest.mark.usefixtures("small")
def test_a_child_that_locks_up_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "least", EFFORTS["least"]._replace(limit_seconds=0.5))
    found = run_small("hangs")
    assert "stopped after 0.5 s" in found.failure
    assert len(found.rows) == 1


@pytest.mark.usefixtures("small")
def test_what_a_child_leaves_behind_is_ended() -> None:
    found = run_small("leaves")
    assert not meter.running(int(found.rows[0].value))


@pytest.mark.usefixtures("small")
def test_timings_are_pytest_benchmark_s_and_kept() -> None:
    finding, benchmarks = run_one(
        EXPERIMENTS[0]._replace(name="times"), Asked("least"), lambda _: None
    )
    (entry,), (found,) = benchmarks, finding.rows
    assert entry["stats"]["rounds"] == len(entry["stats"]["data"]) == 30
    assert entry["stats"]["iterations"] == 3
    assert found.value == entry["stats"]["median"] / 2
    assert (found.low, found.high) == (entry["stats"]["q1"] / 2, entry["stats"]["q3"] / 2)


def test_every_effort_times_at_least_thirty_rounds() -> None:
    assert min(effort.timing_rounds for effort in EFFORTS.values()) >= 30


def test_a_lab_keeps_the_median_and_the_range() -> None:
    told: list[tuple[str, object]] = []
    Lab("x", EFFORTS["quick"], lambda kind, value: told.append((kind, value))).report(
        "a", "b", "s", [3.0, 1.0, 2.0]
    )
    assert told == [("row", Row("a", "b", "s", 2.0, 1.0, 3.0, 3)._asdict())]


def test_the_code_shown_is_the_measured_part_only() -> None:
    code = measured_part(import_module("bench.experiments.sockets.sticky"))
    assert "def measure(lab" in code
    assert "recv(1024)" in code
    assert "def judge" not in code
    assert "import" not in code


# What is told.


def test_a_finding_is_a_record_and_comes_back_as_it_was() -> None:
    values = json.loads(json.dumps(FINDING.to_json()))
    assert (values["type"], values["schema"]) == ("finding", 1)
    assert Finding.from_json(values) == FINDING


def test_the_page_needs_nothing_else_and_shows_code_as_text() -> None:
    text = page([FINDING])
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert text.count("<section id=") == 1
    assert "data:image/svg+xml;base64," in text
    assert "a &lt; b &amp; c" in text


def test_the_markdown_has_every_case_and_the_verdict() -> None:
    text = markdown([FINDING], ".venv/bin/threadmill experiment all")
    assert "| one | 1.50 us (1.00 us to 2.00 us) |" in text
    assert "| other / one | 600 ms (500 ms to 700 ms) |" in text
    assert "**Holds**: it is 0.1; the claim needs at most 0.2. Do." in text
    assert "2026-11-24" in text
    assert "The course (5.5) says: a < b & c" in text
    assert "We say: a < b" in markdown([replace(FINDING, section="ours")], "")


@pytest.mark.parametrize("unit", UNITS)
def test_a_chart_is_drawn_in_every_unit(unit: str) -> None:
    for rows in ([row(0, 0, unit=unit)], [row(1, 2, unit=unit), row(900, 1000, "two", unit)]):
        drawn = chart(replace(FINDING, rows=rows))
        assert drawn is not None
        assert len(drawn.axes[0].get_yticks()) == len(rows)


@pytest.mark.parametrize(
    ("unit", "most", "words"),
    [
        ("yes", 1, ["no", "yes"]),
        ("share", 1, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        ("count", 17, ["0", "3", "6", "9", "12", "15", "18"]),
    ],
)
def test_an_axis_has_no_ticks_between_those_that_a_figure_can_have(
    unit: str, most: float, words: list[str]
) -> None:
    drawn = chart(replace(FINDING, rows=[row(1, 1, unit=unit), row(most, most, "two", unit)]))
    assert drawn is not None
    drawn.draw_without_rendering()
    axes = drawn.axes[0]
    low, high = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    assert [tick.get_text() for place, tick in ticks if low <= place <= high] == words
    assert low < 0  # a dot at zero is whole


def test_counts_far_apart_stand_on_a_log_axis_that_has_a_place_for_none() -> None:
    figures = [
        Row("a", name, "count", value, value, value, 1)
        for name, value in (("lost", 2500), ("doubled", 0), ("waiting", 1))
    ]
    drawn = chart(replace(FINDING, rows=figures))
    assert drawn is not None
    axes = drawn.axes[0]
    assert axes.get_xscale() == "symlog"
    assert any("log axis" in text.get_text() for text in drawn.texts)
    lines: Any = axes.get_lines()  # whose data may be almost anything
    heights = {round(float(np.mean(line.get_ydata())), 3) for line in lines}
    assert len(heights) == 3, "of figures that are alike one would hide the other"


def test_without_any_row_there_is_no_chart() -> None:
    assert chart(replace(FINDING, rows=[])) is None


WORDS = "a case whose name is a long one, with a comma"
MANY = [
    Row(case, figure, "s", 1e-4, 9e-5, 2e-4, 5)
    for case in (WORDS, "multiprocessing.ThreadPool")
    for figure in ("connect, one round trip, close", "a task, by map", "another", "and one more")
]


def told(rows: list[Row], width: int) -> str:
    """Return what a terminal of a width is told of figures."""
    console = Console(width=width, file=io.StringIO())
    console.print(FindingText(replace(FINDING, rows=rows)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_that_is_wide_enough_has_a_column_for_each_figure() -> None:
    text = told(MANY, 140)
    assert re.search(rf"{WORDS} +100 us +100 us +100 us +100 us", text)
    assert text.count("multiprocessing.ThreadPool") == 1


@pytest.mark.parametrize("width", [70, 80])
def test_a_narrow_terminal_has_a_line_for_each_figure_and_no_word_is_broken(width: int) -> None:
    text = told(MANY, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert sum(bool(re.search("100 us +90.0 us to 200 us", line)) for line in lines) == len(MANY)
    assert text.count("multiprocessing.ThreadPool") == 4
    assert all(figure in map(str.strip, lines) for figure in figures_of(MANY))
    assert all(word in text.split() for word in WORDS.split())


def test_what_a_case_has_no_figure_of_is_no_line_on_a_narrow_terminal() -> None:
    assert MISSING not in told([*MANY, row(1, 1, "of another", "count")], 80)


# The command.


def test_the_list_says_what_is_asked_and_claimed() -> None:
    rows = json.loads(bench_in_process("experiments", "--json").stdout)
    assert [each["name"] for each in rows] == [each.name for each in EXPERIMENTS]
    assert all(each[key] for each in rows for key in ("question", "claim", "section"))
    assert "creation" in bench_in_process("experiments").stdout


def test_an_experiment_is_an_object_on_standard_output_and_a_page(tmp_path: Path) -> None:
    done = bench_in_process(
        "experiment", "sticky", "--effort", "least", "--json",
        "--findings", tmp_path / "findings", "--write", tmp_path / "page.md",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == "sticky"
    assert found["verdict"] in VERDICTS
    assert found["because"]
    assert {"case", "figure", "unit", "value", "low", "high", "rounds"} == set(found["rows"][0])
    (folder,) = (tmp_path / "findings").iterdir()
    assert json.loads((folder / FILE).read_text()) == found
    assert "sticky" in (folder / "experiments.html").read_text()
    assert "## sticky" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nonsense",), "There is no experiment"),
        (("sticky", "--effort", "huge"), "There is no effort"),
        (("start", "--python", sys.executable), "its own Python"),
        ((",",), "No experiment was named"),
        (("sticky", "--python", "no-such-python"), "no-such-python"),
        (("sticky", "--python", f"a={sys.executable},b={sys.executable}"), "takes one"),
        (("sticky", "--write", "/nonexistent/page.md"), "can be written at /nonexistent/page.md"),
        (("sticky", "--write", "/"), "can be written at /"),
        (("sticky", "--findings", "/dev/null/findings"), "cannot keep findings in /dev/null"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_before_anything_is_measured(
    words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = bench_in_process("experiment", "--findings", tmp_path, *words)
    assert done.returncode in {2, 3}
    assert sentence in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_is_done_and_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "bench", "experiment", "empty,deadlock"),
            *("--effort", "quick", "--findings", str(tmp_path)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "claim needs" in line:
                break
        members = meter.running(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    (folder,) = tmp_path.iterdir()
    assert [json.loads(line)["name"] for line in (folder / FILE).read_text().splitlines()] == [
        "empty"
    ]
    assert (folder / "experiments.html").is_file()
    assert [pid for pid in members if meter.running(pid)] == []
