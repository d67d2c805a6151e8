"""Comparing stored results: formats, intervals, what cannot be compared, and the exit codes."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from bench.__main__ import main
from reports.record import Run, Sample
from reports.store import FILE, RunFolder
from reports.trend.compare import (
    Answer,
    Logs,
    Results,
    Series,
    compare,
    exit_code,
    only_on_one_side,
    warnings,
)
from reports.trend.foreign import UnreadableError, results_of_json, results_of_run
from reports.trend.history import TREND_METRICS
from reports.untrusted import UntrustedError, read_json
from tests import runs
from tests.hostile import ANY_JSON

STEADY = (0.99, 1.0, 1.0, 1.0, 1.01)


def side(
    values: Sequence[float], *, unit: str = "s", more_is_better: bool = False, **others: Any
) -> Results:
    series = Series(unit=unit, logs=Logs.of(values), more_is_better=more_is_better)
    return Results(**{"label": "x", "machine": {}, "series": {"sort": series}, **others})


def scaled(factor: float) -> list[float]:
    return [factor * value for value in STEADY]


def code(b: Results, threshold: float | None = 0.05, a: Results | None = None) -> int:
    a = side(STEADY) if a is None else a
    return exit_code(compare(a, b), a, b, threshold)


def pyperf(runs: Sequence[dict[str, Any]], name: str = "sort", **shared: Any) -> dict[str, Any]:
    """Return pyperf's document as version 2.9 writes it, with what every benchmark shares apart."""
    metadata = {"unit": "second", "python_version": "3.11.2 (64-bit)", **shared}
    return {
        "version": "1.0",
        "metadata": metadata,
        "benchmarks": [{"metadata": {"name": name}, "runs": runs}],
    }


def pytest_benchmark(values: Sequence[float], *, stored: bool, **others: Any) -> dict[str, Any]:
    """Return pytest-benchmark 5's document, with the rounds only if they are to be `stored`."""
    stats = {
        "mean": float(np.mean(values)),
        "stddev": float(np.std(values, ddof=1)),
        "rounds": len(values),
        **({"data": list(values)} if stored else {}),
    }
    row = {"name": "test_sort", "fullname": "test_x.py::test_sort", "stats": stats}
    return {"machine_info": {}, "benchmarks": [row], **others}


# Statistics.


def test_the_interval_is_that_of_welchs_test_on_logarithms() -> None:
    a, b = (1.0, 1.2, 0.9, 1.1), (1.3, 1.5, 1.1, 1.6, 1.4, 1.2)
    (found,) = compare(side(a), side(b))
    welch = ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((math.exp(welch.low), math.exp(welch.high)))
    assert found.ratio == pytest.approx(np.exp(np.log(b).mean() - np.log(a).mean()))


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    draws = np.random.default_rng(5).lognormal(0.0, [[[0.05]], [[0.15]]], (2, 1000, 5))
    found = [compare(side(a), side(1.1 * b))[0] for a, b in zip(*draws, strict=True)]
    covered = np.mean([each.low <= 1.1 <= each.high for each in found])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("more_is_better", [False, True])
def test_better_and_worse_follow_the_figures_direction(more_is_better: bool) -> None:
    a = side(STEADY, more_is_better=more_is_better)
    more, less, same = (
        compare(a, side(scaled(factor), more_is_better=more_is_better))[0].answer
        for factor in (1.2, 0.8, 1.001)
    )
    good, bad = (more, less) if more_is_better else (less, more)
    assert (good, bad, same) == (Answer.BETTER, Answer.WORSE, Answer.SAME)


def test_two_values_on_a_side_give_no_interval() -> None:
    (found,) = compare(side(STEADY), side((2.0, 2.0)))
    assert found.answer is Answer.TOO_FEW
    assert found.to_json()["high"] is None


def test_other_units_are_not_compared_and_that_is_said() -> None:
    a, b = side(STEADY), side(STEADY, unit="byte")
    assert compare(a, b) == []
    assert "not compared" in warnings(a, b)[0]


def test_only_facts_that_both_sides_have_tell_machines_apart() -> None:
    old, new, part = ({"cpu": "A", "gil": True}, {"cpu": "B", "gil": True}, {"cpu": "A"})
    assert warnings(side(STEADY, machine=old), side(STEADY, machine=part)) == []
    (said,) = warnings(side(STEADY, machine=old), side(STEADY, machine=new))
    assert "cpu: A and B" in said


# Exit codes.


@pytest.mark.parametrize(
    ("factor", "more_is_better", "expected"),
    [
        (1.0, False, 0),
        (0.5, False, 0),
        (1.03, False, 0),  # surely worse, and surely by less than 5%
        (1.05, False, 4),
        (1.2, False, 1),
        (1.2, True, 0),
        (0.8, True, 1),
    ],
)
def test_the_exit_code_weighs_the_interval_against_the_threshold(
    factor: float, more_is_better: bool, expected: int
) -> None:
    a = side(STEADY, more_is_better=more_is_better)
    assert code(side(scaled(factor), more_is_better=more_is_better), a=a) == expected


def test_without_a_threshold_a_worse_figure_is_no_failure() -> None:
    assert code(side(scaled(2.0)), threshold=None) == 0


def test_too_few_values_are_inconclusive_however_good() -> None:
    assert code(side((0.5, 0.5))) == 4


def test_nothing_in_common_has_its_own_exit_code() -> None:
    assert code(side(STEADY, series={})) == 5


@pytest.mark.parametrize("threshold", [None, 0.05])
def test_a_trouble_that_only_b_has_is_invalid_before_all_else(threshold: float | None) -> None:
    troubled = side(scaled(0.5), troubles={"other": "reset"})
    assert code(troubled, threshold) == 3
    assert code(troubled, threshold, a=side(STEADY, troubles={"other": "reset"})) == 0


# Formats.


def test_a_value_of_pyperf_is_the_mean_of_a_process_and_calibration_is_left_out() -> None:
    calibration = {"warmups": [[1, 9.0]], "metadata": {"calibrate_loops": 2}}
    document = pyperf([calibration, {"values": [1.0, 3.0]}, {"values": [4.0, 4.0]}])
    (series,) = results_of_json("p", document).series.values()
    assert (series.logs.values, series.unit) == (2, "s")
    assert series.value == pytest.approx(8**0.5)


def test_a_benchmark_of_pyperf_without_a_value_is_a_trouble() -> None:
    a = results_of_json("a", pyperf([{"values": [1.0]}] * 3))
    b = results_of_json("b", pyperf([{"warmups": [[1, 9.0]]}]))
    assert b.troubles
    assert only_on_one_side(a, b) == []  # it is said once
    assert code(b, a=a) == 3


def test_rounds_of_pytest_benchmark_come_from_the_data_or_nearly_so_from_their_summary() -> None:
    values = [1e-3 * value for value in (0.98, 1.01, 1.02, 0.99, 1.0, 1.03)]
    (whole,) = results_of_json("d", pytest_benchmark(values, stored=True)).series.values()
    (summary,) = results_of_json("s", pytest_benchmark(values, stored=False)).series.values()
    assert summary.logs.values == whole.logs.values == 6
    assert summary.value == pytest.approx(whole.value, rel=1e-3)
    assert summary.logs.variance == pytest.approx(whole.logs.variance, rel=0.05)


def test_rounds_of_one_process_are_said_to_be_that() -> None:
    results = results_of_json("d", pytest_benchmark(STEADY, stored=True))
    assert any("one process" in line for line in warnings(results, results))


def test_foreign_machines_are_written_as_ours() -> None:
    cpu, kernel = "AMD EPYC 7B13", "6.1.0-28-amd64"
    theirs = {
        "python_implementation": "CPython",
        "python_version": "3.11.2",
        "system": "Linux",
        "release": kernel,
        "machine": "x86_64",
        "cpu": {"brand_raw": cpu},
    }
    one = pytest_benchmark(STEADY, stored=True, machine_info=theirs)
    platform = f"Linux-{kernel}-x86_64-with-glibc2.36"
    two = pyperf([{"values": [1.0]}], cpu_model_name=cpu, platform=platform)
    ours = {name: runs.MACHINE[name] for name in ("cpu", "kernel", "python")}
    assert results_of_json("b", one).machine == results_of_json("p", two).machine == ours


@pytest.mark.parametrize(
    "document",
    [
        [],
        7,
        {"benchmarks": 3},
        {"benchmarks": [{}]},
        {"benchmarks": [None]},
        {"benchmarks": [{"name": "x", "stats": {"data": [0.0]}}]},
        {"benchmarks": [{"name": "x", "stats": {"mean": 0.0, "stddev": 0, "rounds": 3}}]},
        {"benchmarks": [{"runs": None}]},
        pyperf([{"values": ["fast"]}]),
    ],
)
def test_what_is_no_result_is_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(UnreadableError, match=r"^here "):
        results_of_json("here", document)


# Our runs.


@cache
def trials() -> tuple[Sample, ...]:
    return tuple(
        runs.make_sample("echo", model, block)
        for model in ("thread", "asyncio")
        for block in range(5)
    )


def made(faster: float = 1.0) -> tuple[Run, list[Sample]]:
    """Return a run whose models answer so many times as much, at the same CPU per request."""
    samples = [
        runs.changed(
            sample,
            requests=int(sample.tally.requests * faster),
            server_user_seconds=sample.server_user_seconds * faster,
            server_system_seconds=sample.server_system_seconds * faster,
        )
        for sample in trials()
    ]
    return runs.make_run(["thread", "asyncio"], ["echo"], blocks=5), samples


def ours(samples: Sequence[Sample]) -> Results:
    return results_of_run("run", made()[0], samples, list(TREND_METRICS))


def test_each_trial_of_a_run_is_a_value_of_each_figure() -> None:
    results = ours(made()[1])
    assert set(results.series) == {
        f"{model}/echo/{metric}" for model in ("thread", "asyncio") for metric in TREND_METRICS
    }
    assert {series.logs.values for series in results.series.values()} == {5}


def test_a_model_that_answers_less_is_worse_by_throughput_alone() -> None:
    found = {each.name: each.answer for each in compare(ours(made()[1]), ours(made(0.7)[1]))}
    assert {name for name, answer in found.items() if answer is Answer.WORSE} == {
        "thread/echo/throughput",
        "asyncio/echo/throughput",
    }


@pytest.mark.parametrize("trouble", ["failed", "reset", "silent"])
def test_a_trial_that_went_wrong_only_in_b_makes_the_comparison_invalid(trouble: str) -> None:
    a, b = made()[1], made()[1]
    b[2] = {
        "failed": runs.failed(b[2], "the server died"),
        "reset": runs.with_resets(b[2], 3),
        "silent": runs.changed(b[2], requests=0),
    }[trouble]
    one, other = ours(a), ours(b)
    assert list(other.troubles) == ["thread/echo"]
    assert only_on_one_side(one, other) == []
    assert code(other, a=one) == 3
    assert {each.name.split("/")[0] for each in compare(one, other)} == {"asyncio"}


def test_a_percentile_that_is_a_lower_bound_is_not_compared() -> None:
    run = runs.make_run(["serial"], ["wait"])
    samples = [runs.starved(runs.make_sample("wait", "serial", block)) for block in range(5)]
    results = results_of_run("run", run, samples, ["p99", "cpu"])
    assert list(results.series) == ["serial/wait/cpu"]
    assert "lower bound" in results.troubles["serial/wait/p99"]


def test_connections_that_only_b_starves_make_the_comparison_invalid() -> None:
    fed, starving = made()[1], [runs.starved(sample) for sample in made()[1]]
    assert code(ours(starving), a=ours(fed)) == 3
    assert code(ours(starving), a=ours(starving)) == 0
    assert "not every connection" in ours(starving).troubles["thread/echo/served"]


# The verb.


def stored(folder: Path, run: Run, samples: Sequence[Sample]) -> Path:
    folder.mkdir(parents=True)
    for record in (run, *samples):
        RunFolder(folder).append(record)
    return folder


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a call of `threadmill compare`: its exit code, its output and its errors."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["threadmill", "compare", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return call


def test_a_run_is_found_by_its_id_its_folder_its_file_and_whatever_that_is_called(
    tmp_path: Path, command: Command
) -> None:
    root = tmp_path / "runs"
    folder = stored(root / "first", *made())
    copied = tmp_path / "before.txt"
    copied.write_bytes((folder / FILE).read_bytes())
    for name in ("first", "latest", folder, folder / FILE, copied):
        code, output, _ = command("first", name, "--results", root, "--json")
        assert code == 0
        told = json.loads(output)
        assert {row["ratio"] for row in told["compared"]} == {1.0}
        assert "A and B are both the run " in told["remarks"][0]


def test_a_run_against_itself_is_said_to_be_one_and_is_not_worse(
    tmp_path: Path, command: Command
) -> None:
    stored(tmp_path / "runs" / "first", *made())
    words = ("first", "latest", "--results", tmp_path / "runs", "--fail-on", "0.1%")
    code, output, _ = command(*words)
    assert code == 0
    assert "there is no difference to find" in output
    assert "not worse: no figure of B is worse" in " ".join(output.split())


def test_the_table_fits_80_columns_and_the_exit_code_is_the_gates(
    tmp_path: Path, command: Command
) -> None:
    root = tmp_path / "runs"
    for name, faster in (("one", 1.0), ("two", 0.7)):
        stored(root / name, *made(faster))
    words = ("one", "two", "--results", root, "--metrics", "throughput", "--fail-on", "5%")
    code, output, _ = command(*words)
    assert code == 1
    assert "thread/echo\n" in output
    assert "geometric means" in output
    assert re.search(r"^throughput +[0-9,]+ +[0-9,]+ +0\.7[0-9]* .*worse$", output, re.MULTILINE)
    assert re.search(
        r"^worse: a figure of B is surely worse .* by more than 5\.0%$", output, re.MULTILINE
    )
    assert "cpu" not in output
    assert max(map(len, output.splitlines())) <= 80


def of_benchmark(name: str = "sort", **stats: Any) -> dict[str, Any]:
    """Return pytest-benchmark's document with a benchmark of these figures."""
    usual = {"mean": 0.01, "stddev": 0.0001, "rounds": 100}
    return {"machine_info": {}, "benchmarks": [{"name": name, "stats": {**usual, **stats}}]}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (of_benchmark(mean=math.nan), "mean is NaN"),
        (of_benchmark(mean=math.inf), "mean is Infinity"),
        (of_benchmark(mean=10**400), "mean is 1000"),
        (of_benchmark(mean=1e300), "mean is 1e+300"),
        (of_benchmark(mean=5e-324), "mean is 5e-324"),
        (of_benchmark(mean="0.01"), "mean is '0.01'"),
        (of_benchmark(mean=True), "mean is True"),
        (of_benchmark(stddev=math.nan), "stddev is NaN"),
        (of_benchmark(stddev=-0.001), "stddev is -0.001"),
        (of_benchmark(stddev=1e300), "stddev is 1e+300"),
        (of_benchmark(rounds=0), "rounds is 0"),
        (of_benchmark(rounds=-3), "rounds is -3"),
        (of_benchmark(rounds="x"), "rounds is 'x'"),
        (of_benchmark(rounds=2.5), "rounds is 2.5"),
        (of_benchmark(data=[0.01, math.nan]), "data is NaN"),
        (of_benchmark(data=[0.01, math.inf]), "data is Infinity"),
        (of_benchmark(data=[0.01, "x"]), "data is 'x'"),
        (of_benchmark(data=[0.01, -1.0]), "data is -1.0"),
        (of_benchmark(data="0.01"), "data is '0.01'"),
        (of_benchmark(name=None), "name is None"),  # type: ignore[arg-type]  # as it may be in a file
        (of_benchmark(name="x" * 2_000), "name has more than"),
        ({"benchmarks": [{"name": "x"}]}, "no field stats"),
        (pyperf([{"values": [0.01, math.nan]}]), "values is NaN"),
        (pyperf([{"values": [0.01, -0.01]}]), "values is -0.01"),
        (pyperf([{"values": "fast"}]), "values is 'fast'"),
        (pyperf([{"values": [0.01]}], unit=7), "unit is 7"),
        (pyperf([{"values": [0.01]}], platform=7), "platform is 7"),
        (pyperf([{"values": [0.01]}], name=None), "name is None"),  # type: ignore[arg-type]  # as it may be in a file
    ],
)
def test_a_field_that_cannot_be_is_exit_code_3_and_named(
    tmp_path: Path, command: Command, document: Any, named: str
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(of_benchmark()))
    bad.write_text(json.dumps(document))
    for words in ((good, bad), (bad, good)):
        code, output, errors = command(*words, "--fail-on", "5%")
        assert (code, output) == (3, "")
        assert named in errors
        assert errors.count("\n") == 1


def test_a_tenfold_slow_down_is_worse(tmp_path: Path, command: Command) -> None:
    for name, mean in (("a", 0.01), ("b", 0.1)):
        (tmp_path / name).write_text(json.dumps(of_benchmark(mean=mean)))
    assert command(tmp_path / "a", tmp_path / "b", "--fail-on", "5%")[0] == 1


def test_a_bound_that_is_no_number_does_not_pass() -> None:
    odd = side(STEADY)
    (found,) = compare(odd, odd)
    assert exit_code([found._replace(high=math.nan)], odd, odd, 0.05) == 4


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 100_000, '"\\ud800"'])
def test_a_document_beyond_all_bounds_is_one_sentence(
    tmp_path: Path, command: Command, text: str
) -> None:
    (tmp_path / "a").write_text(text)
    code, output, errors = command(tmp_path / "a", tmp_path / "a")
    assert (code, output, errors.count("\n")) == (3, "", 1)


def test_a_deviation_next_to_nothing_is_compared(tmp_path: Path, command: Command) -> None:
    (tmp_path / "a").write_text(json.dumps(of_benchmark(stddev=1e-170)))
    assert command(tmp_path / "a", tmp_path / "a", "--fail-on", "5%")[0] == 0


@given(ANY_JSON, ANY_JSON)
def test_any_json_is_compared_or_refused_in_a_sentence(one: Any, other: Any) -> None:
    for document in (
        one,
        {"benchmarks": one},
        {"benchmarks": [one], "machine_info": other},
        {"benchmarks": [{"name": "x", "stats": one}]},
        of_benchmark(mean=one, stddev=other),
        of_benchmark(data=[one, other]),
        pyperf([{"values": [one, other]}]),
        pyperf([one], unit=other),
    ):
        try:
            results = results_of_json("here", read_json(json.dumps(document)))
        except (UnreadableError, UntrustedError):
            continue
        compared = compare(results, results)
        assert exit_code(compared, results, results, 0.05) in {0, 4, 5}
        json.dumps([each.to_json() for each in compared], allow_nan=False)


@given(
    st.floats(1e-15, 1e15), st.floats(0, 1), st.integers(1, 2**62),
    st.floats(1e-15, 1e15), st.floats(0, 1), st.integers(1, 2**62),
)  # fmt: skip
def test_no_figures_within_bounds_are_too_much_for_the_arithmetic(
    mean: float, share: float, rounds: int, mean_b: float, share_b: float, rounds_b: int
) -> None:
    one, other = (
        results_of_json("x", of_benchmark(mean=m, stddev=m * part * n**0.5, rounds=n))
        for m, part, n in ((mean, share, rounds), (mean_b, share_b, rounds_b))
    )
    (found,) = compare(one, other)
    json.dumps(found.to_json(), allow_nan=False)
    assert found.answer is Answer.TOO_FEW or found.low <= found.ratio <= found.high


@pytest.mark.parametrize("content", ["", "none of ours", '{"type": "run"}\n', "[]", "\0\xff"])
def test_a_file_without_results_is_one_sentence_and_exit_code_2(
    tmp_path: Path, command: Command, content: str
) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content.encode("latin-1"))
    code, output, errors = command(path, path)
    assert (code, output) == (2, "")
    assert errors.startswith(f"threadmill: {path} ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [("one", "nothing"), ("one", "one", "--metrics", "x"), ("one", "one", "--fail-on", "5")],
)
def test_what_is_not_there_to_be_named_is_a_users_error(
    tmp_path: Path, command: Command, words: tuple[str, ...]
) -> None:
    stored(tmp_path / "runs" / "one", *made())
    code, _, errors = command(*words, "--results", tmp_path / "runs")
    assert (code, errors.count("\n")) == (2, 1)
