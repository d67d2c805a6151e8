"""The history of runs: what is kept, compared, marked, written and drawn."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib import rc_context
from rich.console import Console

from bench.__main__ import main
from reports.cells.families import CLASSIC
from reports.charts.style import RC, render
from reports.histogram import Histogram
from reports.key import CellKey
from reports.store import Store, StoreError
from reports.trend.chart import history_chart
from reports.trend.history import (
    ALPHA,
    TREND_METRICS,
    Entry,
    Kept,
    KeptCell,
    Point,
    Trend,
    append,
    change_points,
    entry_of,
    read,
    trends,
)
from reports.trend.text import GAP, MOST_BARS, bars, history_table, signed
from tests.runs import MACHINE, changed, failed, make_run, make_sample, standard_run

ECHO = "64 connections, 1 KiB"


def cell(
    value: float,
    model: str = "thread",
    scenario: str = "echo",
    level: str = ECHO,
    **others: Sequence[float],
) -> KeptCell:
    figures = {"cpu": [value, value * 0.97, value * 1.04]} | others
    return KeptCell(
        cell=CellKey(scenario, level, model),
        trials=5,
        figures={name: Kept(*figure) for name, figure in figures.items()},
    )


def of_schema_1(**figures: Any) -> str:
    """Return an entry as schema 1 has it, with one cell."""
    flat = {"scenario": "echo", "level": ECHO, "model": "thread", "trials": 5, **figures}
    return json.dumps({**entry(9).to_json(), "schema": 1, "cells": [flat]})


def entry(number: int, *cells: KeptCell, kernel: str = "Linux 6.1") -> Entry:
    return Entry(
        run=f"run-{number}",
        started=f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}T00:00:00+00:00",
        commit=f"c{number:06}",
        profile="standard",
        machine={**MACHINE, "kernel": kernel},
        cells=list(cells),
    )


def history_of(values: Sequence[float], new_machine_at: Sequence[int] = ()) -> list[Entry]:
    """Return a run for each value of thread's CPU."""
    return [
        entry(at, cell(value), kernel=f"Linux 6.{sum(at >= new for new in new_machine_at)}")
        for at, value in enumerate(values)
    ]


def trend_of(values: Sequence[float], new_machine_at: Sequence[int] = ()) -> Trend:
    (found,) = trends(history_of(values, new_machine_at), ["cpu"])
    return found


def segment_of(values: Sequence[float]) -> list[Point]:
    return trend_of(values).segments[0]


def noise(count: int, seed: int, spread: float = 0.03) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(value) for value in 14 * np.exp(rng.normal(0, spread, count))]


def shown(found: Sequence[Trend]) -> str:
    console = Console(file=StringIO(), width=80, color_system=None)
    with console.capture() as captured:
        console.print(history_table(found))
    return captured.get()


# What is kept.


def test_a_run_keeps_the_median_and_the_interval_of_every_cell() -> None:
    run, samples = standard_run(2, ("echo", "bulk"))
    found = entry_of(run, samples)
    assert (found.run, found.started, found.commit) == (run.id, run.started, MACHINE["commit"])
    cells = {(each.cell.scenario, each.cell.model): each for each in found.cells}
    assert ("bulk", "process") not in cells  # none of its trials was good
    assert len(cells) == 2 * 8 - 1
    thread = cells["echo", "thread"]
    assert thread.figures.keys() == TREND_METRICS.keys()
    assert thread.trials == 2
    for name in TREND_METRICS:
        value, low, high = thread.figures[name]
        assert 0 < low <= value <= high


def test_a_latency_that_is_only_known_from_below_is_not_kept() -> None:
    good = make_sample()
    never = Histogram.of([int(2e9)] * (good.tally.requests // 5))
    (found,) = entry_of(make_run(), [changed(good, unanswered=never)]).cells
    assert found.figures.keys() == TREND_METRICS.keys() - {"p99"}


def test_a_history_is_read_in_the_order_in_which_its_runs_began(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "history.jsonl"
    entries = history_of([14, 15, 16])
    for each in (entries[2], entries[0], entries[1]):
        append(file, each)
    assert read(file) == (entries, [])


def test_a_run_is_added_once(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    append(file, entry(0, cell(14)))
    before = file.read_bytes()
    with pytest.raises(StoreError, match="has the run run-0 already"):
        append(file, entry(0, cell(15)))
    assert file.read_bytes() == before


def test_half_a_line_is_left_out_and_makes_room_for_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    one, other = history_of([14, 15])
    append(file, one)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:100])
    entries, warnings = read(file)
    assert entries == [one]
    assert warnings == [f"{file} ends in half a line; that run is left out"]
    append(file, other)
    assert read(file) == ([one, other], [])
    assert list(tmp_path.iterdir()) == [file]


def test_a_last_line_that_only_lacks_its_newline_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    one, other = history_of([14, 15])
    append(file, one)
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    assert read(file) == ([one], [])
    append(file, other)
    assert read(file) == ([one, other], [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("<<<<<<< HEAD", "Expecting value"),
        ("[]", "type 'entry'"),
        (json.dumps({**entry(9).to_json(), "schema": 99}), "schema 99"),
        (json.dumps({**entry(9).to_json(), "cells": 1}), "cells is 1"),
        (json.dumps({**entry(9).to_json(), "cells": [{"model": "x"}]}), "no field 'model'"),
        (of_schema_1(cpu="x"), "it is no record of schema 1"),
        (of_schema_1(cpu=["x", 1, 1]), "value is 'x', which is no float"),
        (of_schema_1(cpu=[1]), "it is no record of schema 1"),
        (of_schema_1(cpu=[-1, 1, 1]), "cpu is -1"),
        (of_schema_1(cpu=[1, 1, 1e300]), r"cpu.high is 1e\+300, and must be from"),
        (of_schema_1(cpu=[1, 1, math.nan]), "cpu is NaN"),
        (json.dumps({**entry(9).to_json(), "commit": "\ud800"}), "surrogate"),
        ("[" * 100_000, "nested"),
    ],
)
def test_a_line_that_is_no_run_is_named(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "history.jsonl"
    append(file, entry(0, cell(14)))
    with file.open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(StoreError, match=f"line 2 cannot be read: .*{reason}"):
        read(file)


@pytest.mark.parametrize("content", [None, ""])
def test_no_history_yet_says_what_begins_one(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "history.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreError, match="`threadmill history add`"):
        read(file)


# Trends.


def test_trends_are_of_the_metrics_models_and_scenarios_that_were_asked_for() -> None:
    rows = [
        cell(14, throughput=[1, 1, 1]),
        cell(9, "coroutine", throughput=[1, 1, 1]),
        cell(70, scenario="bulk", throughput=[1, 1, 1]),
    ]
    entries = [entry(0, *rows), entry(1, *rows)]

    def found(*asked: Sequence[str]) -> set[tuple[str, str, str]]:
        return {(each.metric, each.scenario, each.model) for each in trends(entries, *asked)}

    assert found(["cpu"]) == {
        ("cpu", "echo", "thread"),
        ("cpu", "echo", "coroutine"),
        ("cpu", "bulk", "thread"),
    }
    assert len(found(["cpu", "throughput"])) == 6
    assert found(["cpu"], ["coroutine"]) == {("cpu", "echo", "coroutine")}
    assert found(["throughput"], [], ["bulk"]) == {("throughput", "bulk", "thread")}
    assert found(["p99"]) == set()


def test_levels_of_one_scenario_are_trends_of_their_own() -> None:
    rows = [cell(14, level="10 idle"), cell(20, level="1,000 idle")]
    found = trends([entry(0, *rows), entry(1, *rows)], ["cpu"])
    assert {each.level: [p.value for p in each.points] for each in found} == {
        "10 idle": [14, 14],
        "1,000 idle": [20, 20],
    }


def test_a_new_machine_begins_a_segment_and_nothing_is_compared_across_it() -> None:
    trend = trend_of([10] * 8 + [20] * 8, new_machine_at=[8])
    assert [[point.value for point in each] for each in trend.segments] == [[10] * 8, [20] * 8]
    assert trend.changes() == []
    assert trend.moved() == 0
    assert trend_of([10] * 8 + [20], new_machine_at=[8]).moved() is None


def test_the_same_steps_on_one_machine_are_compared() -> None:
    trend = trend_of([10] * 8 + [20] * 8)
    assert [change.point.number for change in trend.changes()] == [8]


def test_a_machine_that_changed_while_a_model_was_away_ends_its_segment() -> None:
    entries = [
        entry(0, cell(14)),
        entry(1, cell(9, "coroutine"), kernel="Linux 6.8"),
        entry(2, cell(14)),
    ]
    (thread,) = trends(entries, ["cpu"], ["thread"])
    assert [len(segment) for segment in thread.segments] == [1, 1]


@pytest.mark.parametrize(
    ("values", "moved"), [([14], None), ([10, 20, 30, 40], 1.0), ([0, 0, 5], None), ([5, 0], -1.0)]
)
def test_the_last_run_is_set_against_the_median_of_those_before(
    values: list[float], moved: float | None
) -> None:
    assert trend_of(values).moved() == moved


# Change points.


def test_steady_noise_is_marked_about_as_often_as_alpha_says() -> None:
    marked = sum(bool(change_points(segment_of(noise(16, seed)))) for seed in range(300))
    # Three are expected; ten or more have a chance of 1 in 1,000.
    assert marked <= 300 * ALPHA + 6


@pytest.mark.parametrize(("at", "step"), [(4, 1.2), (8, 1.2), (11, 1 / 1.2)])
def test_a_step_in_sixteen_runs_is_found_where_it_is(at: int, step: float) -> None:
    for seed in range(10):
        values = noise(16, seed, 0.02)
        (change,) = change_points(segment_of(values[:at] + [v * step for v in values[at:]]))
        assert change.point.number == at
        assert change.share == pytest.approx(step - 1, abs=0.05)
        assert change.p < ALPHA


def test_several_steps_are_all_found_in_order() -> None:
    stepped = [value * 1.2 ** (at // 10) for at, value in enumerate(noise(40, 5, 0.01))]
    found = change_points(segment_of(stepped))
    assert [change.point.number for change in found] == [10, 20, 30]


def test_no_side_of_a_change_is_shorter_than_four_runs() -> None:
    values = noise(20, 5, 0.01)
    (change,) = change_points(segment_of(values[:17] + [v * 2 for v in values[17:]]))
    assert change.point.number <= 16


def test_steps_without_any_noise_are_found() -> None:
    (change,) = change_points(segment_of([10.0] * 8 + [12.0] * 8))
    assert (change.point.number, round(change.share, 6)) == (8, 0.2)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_fewer_than_ten_runs_have_no_change_point_however_clear(count: int) -> None:
    # A scatter so small that equally large splits differ by rounding alone.
    values = [10.0 + 1e-4 * (at % 3) + 10 * (at >= count // 2) for at in range(count)]
    assert change_points(segment_of(values) if values else []) == []


@pytest.mark.parametrize("value", [0.0, 14.1])
def test_a_figure_that_never_moves_has_no_change_point(value: float) -> None:
    assert change_points(segment_of([value] * 20)) == []


def test_zeros_are_passed_over() -> None:
    (change,) = change_points(segment_of([0.0, *[10.0] * 8, 0.0, *[12.0] * 8]))
    assert change.point.number == 10


def test_the_same_history_gives_the_same_change_points() -> None:
    values = [*noise(8, 3), *(1.1 * v for v in noise(8, 4))]
    assert change_points(segment_of(values)) == change_points(segment_of(values))


# In words.


def test_the_table_fits_80_columns_and_advises() -> None:
    models = ("thread", "process-pool", "nineteen-characters")
    entries = [
        entry(
            at,
            *(cell(14.0 if at < 20 else 21.0, model, throughput=[1e6] * 3) for model in models),
            kernel=f"Linux 6.{at // 40}",
        )
        for at in range(45)
    ]
    text = shown(trends(entries, ["throughput", "cpu"]))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert GAP in text
    assert "the machine changed" in text
    assert "CPU per request (us), echo" in text
    assert "may have changed by +50.0% with c000020 on 2026-01-21" in text
    assert "advice" in text
    assert "regression" not in text.lower()


def test_without_a_new_machine_there_is_no_word_of_it() -> None:
    text = shown([trend_of([14, 15])])
    assert GAP not in text
    assert "+7.1%" in text


def test_each_change_stands_under_the_load_that_it_is_of() -> None:
    steady, stepped = [14.0] * 16, [14.0] * 8 + [21.0] * 8
    entries = [
        entry(at, cell(one, level="10 idle"), cell(other, level="1,000 idle"))
        for at, (one, other) in enumerate(zip(steady, stepped, strict=True))
    ]
    text = shown(trends(entries, ["cpu"]))
    assert text.count("may have changed") == 1
    assert text.index("10 idle") < text.index("1,000 idle") < text.index("may have changed")


def test_no_such_figure_is_said() -> None:
    assert shown([]).strip() == "The history has no such figure."


@pytest.mark.parametrize(
    ("values", "new_machine_at", "expected"),
    [
        ([14], [], "▁"),
        ([1, 2], [], "▁█"),
        ([1, 2, 8], [1], f"▁{GAP}▂█"),
        ([0, 0, 0], [], "▁▁▁"),
        ([100, *[1, 2] * 12], [], "▁█" * 12),  # the first is not shown, and does not set the scale
        ([1, *[1, 2] * 12], [1], "▁█" * 12),  # the sign would be the first
        ([1, 2] * 12, [1], "█" + "▁█" * 11),  # the sign is the one that has no room
        ([1, 2] * 12, range(1, 24), GAP.join("▁█" * 6)),
    ],
)
def test_bars(values: list[float], new_machine_at: Sequence[int], expected: str) -> None:
    found = bars(trend_of(values, new_machine_at))
    assert found == expected
    assert len(found) <= MOST_BARS


@pytest.mark.parametrize(
    ("share", "words"), [(-0.0001, "0.0%"), (0.0, "0.0%"), (0.1, "+10.0%"), (-0.0006, "-0.1%")]
)
def test_what_rounds_to_nothing_has_no_sign(share: float, words: str) -> None:
    assert signed(share) == words


# As charts.


@pytest.mark.parametrize(
    ("values", "new_machine_at", "words"),
    [
        ([14.0], [], ["1 run, 2026-01-01", "thread", "CPU per request, us"]),
        ([14.0, 15.0, 20.0], [2], ["3 runs, 2026-01-01 to 2026-01-03"]),
        ([10.0] * 8 + [12.0] * 8, [], ["16 runs", "+20.0%"]),
        ([0.0, 0.0], [], ["2 runs"]),
    ],
)
def test_the_chart_draws(values: list[float], new_machine_at: list[int], words: list[str]) -> None:
    with rc_context(RC):
        images = render(history_chart([trend_of(values, new_machine_at)], CLASSIC), "history")
    assert images["png"].startswith(b"\x89PNG")
    text = " ".join(re.findall(r"<text[^>]*>(.*?)</text>", images["svg"].decode(), re.DOTALL))
    for each in (f"echo: {ECHO}", *words):
        assert each in text


def test_the_chart_has_a_line_for_a_new_machine_and_for_a_change() -> None:
    def lines_at(trend: Trend) -> list[float]:
        (axes,) = history_chart([trend], CLASSIC).axes
        drawn = [np.asarray(line.get_xdata(), float) for line in axes.lines]
        return [float(at[0]) for at in drawn if len(at) == 2 and at[0] == at[1]]

    assert lines_at(trend_of([14.0, 15.0, 20.0, 21.0], [2])) == [2.5]
    assert lines_at(trend_of([10.0] * 8 + [12.0] * 8)) == [8.5]


def test_the_charts_ticks_are_whole_runs() -> None:
    for count in (1, 2, 3):
        (axes,) = history_chart([trend_of([14.0] * count)], CLASSIC).axes
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


# The verb.


class Done(NamedTuple):
    """How the verb ended."""

    code: int
    out: str
    err: str


Verb = Callable[..., Done]


@pytest.fixture
def history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Verb:
    """Run the verb in a folder that holds one stored run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    run, samples = standard_run(2, ("echo",))
    folder = Store().create(run)
    for sample in samples:
        if sample.cell.model in {"thread", "coroutine"}:
            folder.append(sample)

    def verb(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["threadmill", "history", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return verb


def test_a_run_is_added_once_and_then_shown_and_drawn(history: Verb, tmp_path: Path) -> None:
    added = history("add")
    assert added == (0, f"{make_run().id} added to reports/history.jsonl; cells: 2\n", "")
    twice = history("add")
    assert twice.code == 2
    assert "already" in twice.err
    assert twice.err.count("\n") == 1
    done = history()
    assert done.code == 0, done.err
    assert "thread" in done.out
    assert "coroutine" in done.out
    for kind in ("png", "svg"):
        name = f"reports/history-echo-64-connections-1-kib.{kind}"
        assert f"chart: {name}" in done.out
        assert (tmp_path / name).stat().st_size > 1000


def test_the_history_as_json(history: Verb, tmp_path: Path) -> None:
    history("add")
    done = history("--json", "--metric", "p50", "--models", "thread", "--scenarios", "echo")
    (trend,) = json.loads(done.out)
    assert (trend["metric"], trend["model"], trend["level"]) == ("p50", "thread", ECHO)
    ((point,),) = trend["segments"]
    assert point["run"] == make_run().id
    assert point["low"] <= point["value"] <= point["high"]
    assert trend["change_points"] == []
    assert [each.suffix for each in (tmp_path / "reports").glob("history*")] == [".jsonl"]


def test_the_file_may_be_named_before_add_or_after(history: Verb, tmp_path: Path) -> None:
    assert history("--history", "one.jsonl", "add").code == 0
    assert history("add", "--history", "other.jsonl").code == 0
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert not (tmp_path / "reports" / "history.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--metric", "cpus"), "unknown metric 'cpus': did you mean 'cpu'?"),
        (("--models", "thraed"), "unknown model 'thraed': did you mean 'thread'?"),
        (("--scenarios", "ecko"), "unknown scenario 'ecko': did you mean 'echo'?"),
        (("--history", "none.jsonl"), "`threadmill history add` begins one"),
        (("add", "20261123"), "there is no run '20261123'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    history: Verb, words: Sequence[str], sentence: str
) -> None:
    history("add")
    done = history(*words)
    assert done.code == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_a_run_without_a_good_trial_is_not_added(history: Verb, tmp_path: Path) -> None:
    run = dataclasses.replace(make_run(), id="later", started="2026-11-24T00:00:00+00:00")
    Store().create(run).append(failed(make_sample(), "it died"))
    done = history("add")
    assert done.code == 2
    assert "no good trial" in done.err
    assert not (tmp_path / "reports" / "history.jsonl").exists()


def test_half_a_line_is_a_warning(history: Verb, tmp_path: Path) -> None:
    history("add")
    file = tmp_path / "reports" / "history.jsonl"
    file.write_bytes(file.read_bytes() + b'{"type":')
    done = history("--json")
    assert done.code == 0
    assert "half a line" in done.err
    assert json.loads(done.out)


GOLDEN = Path(__file__).parent / "golden" / "history-schema-1.jsonl"


def test_a_history_of_schema_1_is_read_and_goes_on_in_the_present_one(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(GOLDEN.read_bytes())
    (old,) = map(json.loads, GOLDEN.read_text().splitlines())
    (kept,), warnings = read(file)
    assert (old["schema"], kept.run, warnings) == (1, old["run"], [])
    for cell_, flat in zip(kept.cells, old["cells"], strict=True):
        assert cell_.cell == CellKey(flat["scenario"], flat["level"], flat["model"])
        assert {name: list(figure) for name, figure in cell_.figures.items()} == {
            name: flat[name] for name in TREND_METRICS if name in flat
        }
    append(file, entry(9, cell(14)))
    assert [each.run for each in read(file)[0]] == ["run-9", kept.run]
    assert [json.loads(line)["schema"] for line in file.read_text().splitlines()] == [1, 2]
