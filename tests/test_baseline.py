"""Stored baselines: what is claimed of a further run, what is kept, and when nothing is said."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import bench.gate.stored
from bench.__main__ import main
from bench.gate import reference_load
from bench.gate.rounds import ECHO_64, GateRules, placed
from bench.gate.stored import (
    ADVICE,
    DifferentMachineError,
    RunFailedError,
    judge,
    names,
    read,
    save,
)
from bench.gate.worktree import NoBaselineError
from bench.measure.machine import fingerprint
from bench.measure.pairs import Shape, SideFailed
from reports.gate.stored import BaselineRun, CellRun, Prediction, fit, judge_run, notes
from reports.gate.verdicts import ERRORS, GATE_METRICS, LIMITS, GateReport, Outcome, Verdict
from reports.key import CellKey
from reports.store import StoreError
from servers.catalog import find
from tests.test_layers import OURS, imports

LOAD = placed(ECHO_64, "same")
CELL = CellKey(LOAD.name, LOAD.level, "coroutine")
TYPICAL = {"throughput": 1e5, "p50": 500.0, "p99": 900.0, "cpu": 5.0, "pss": 7.0}
TINY = Shape(slices=2, slice_seconds=0.02, warm_up_seconds=0.02)

FROZEN = (1, "7b4d9a344d87a535a6c2e8a2d064ffe7ecc34f13f3e2f046bfc71907102ca7bc")
"""The version of the reference workload, and the SHA-256 of its source."""


def a_run(log_r: float = 0.0, figures: dict[str, float] | None = None) -> BaselineRun:
    """Return a run of one cell; `log_r` is how much slower the machine is than usual."""
    return BaselineRun(
        started="2026-11-24T12:00:00+00:00",
        commit="0123456789ab",
        machine=fingerprint(),
        reference=reference_load.VERSION,
        placement=LOAD.serving.placement,
        shape={"blocks": 2, "slices": TINY.slices, "slice_seconds": TINY.slice_seconds},
        seed=1,
        reference_us=[2.5 * math.exp(log_r)] * 2,
        cells=[CellRun(cell=CELL, figures=TYPICAL | (figures or {}))],
    )


def runs_of(
    rng: np.random.Generator, speeds: Sequence[float], beta: float, worse: float = 0.0
) -> list[BaselineRun]:
    """Return runs on a machine of these ln r, with 1% of noise, `worse` in the logarithm."""
    logs = beta * np.asarray(speeds) + worse + rng.normal(0, 0.01, (5, len(speeds)))
    return [
        a_run(
            speed,
            {
                name: TYPICAL[name] * math.exp(-by if GATE_METRICS[name].more_is_better else by)
                for name, by in zip(TYPICAL, column, strict=True)
            },
        )
        for speed, column in zip(speeds, logs.T, strict=True)
    ]


def outcomes(verdicts: Sequence[Verdict]) -> dict[str, Outcome]:
    return {verdict.metric: verdict.outcome for verdict in verdicts}


def judged(stored: Sequence[BaselineRun], new: BaselineRun) -> list[Verdict]:
    return judge_run(stored, new, {LOAD.name: LIMITS})


# The statistics.


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_a_further_run_falls_into_the_interval_as_often_as_it_says(beta: float) -> None:
    rng = np.random.default_rng(1)
    tries, held, told = 600, 0, 0
    for _ in range(tries):
        log_r = rng.normal(0, 0.05, 7)
        log_y = beta * log_r + rng.normal(0, 0.01, 7)
        effect = Prediction.of(fit(log_y[:6].tolist(), log_r[:6].tolist()), log_y[6], log_r[6])
        held += effect.low <= 0 <= effect.high
        told += effect.p < 0.01
    assert 0.92 < held / tries < 0.98
    assert told / tries < 0.03


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_beta_is_fitted_not_assumed(beta: float) -> None:
    rng = np.random.default_rng(2)
    log_r = rng.normal(0, 0.05, 40)
    found = fit((beta * log_r + rng.normal(0, 0.01, 40)).tolist(), log_r.tolist())
    assert found.known
    assert abs(found.beta - beta) < 3 * found.beta_error < 0.15


def test_a_beta_that_may_be_anything_adjusts_nothing() -> None:
    """Not even a wild one, which chance brings when the machine hardly changed."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        found = fit(rng.normal(0, 0.02, 5).tolist(), rng.normal(0, 0.001, 5).tolist())
        assert not found.known
        assert found.adjusted(0.3, 0.2) == 0.3


@pytest.mark.parametrize("worse", [0.0, 0.15])
def test_a_slow_day_is_no_regression_and_hides_none(worse: float) -> None:
    rng = np.random.default_rng(4)
    flagged = []
    for _ in range(30):
        stored = runs_of(rng, rng.normal(0, 0.08, 10).tolist(), beta=1)
        (new,) = runs_of(rng, [0.2], beta=1, worse=math.log1p(worse))
        found = outcomes(judged(stored, new))
        flagged += [found[name] is Outcome.REGRESSION for name in ("throughput", "p50", "cpu")]
    share = sum(flagged) / len(flagged)
    assert share > 0.9 if worse else share < 0.05


def test_a_machine_unlike_that_of_the_runs_leaves_it_open_when_beta_is_unknown() -> None:
    stored = runs_of(np.random.default_rng(5), [-1e-3, 1e-3, -1e-3, 1e-3, 0], beta=1)
    found = {verdict.metric: verdict for verdict in judged(stored, a_run(0.2))}
    assert found["cpu"].outcome is Outcome.INCONCLUSIVE
    assert "22% slower" in found["cpu"].reason
    assert found["pss"].outcome is Outcome.PASS  # has nothing to do with it


def test_memory_is_not_adjusted_to_the_speed() -> None:
    speeds = [-0.1, -0.05, 0.0, 0.05, 0.1]
    stored = runs_of(np.random.default_rng(6), speeds, beta=1)
    flat = [dataclasses.replace(run, reference_us=[2.5]) for run in stored]
    new = a_run(0.1, {"pss": 8.0})
    pss = [next(v for v in judged(runs, new) if v.metric == "pss") for runs in (stored, flat)]
    assert pss[0] == pss[1]


def test_what_is_beyond_the_interval_but_below_the_threshold_passes() -> None:
    stored = runs_of(np.random.default_rng(7), [-0.05, 0.05] * 6, beta=0)
    slight = a_run(0, {"cpu": TYPICAL["cpu"] * 1.045})
    assert outcomes(judged(stored, slight))["cpu"] is Outcome.PASS
    assert outcomes(judged(stored, a_run(0, {"cpu": 5.8})))["cpu"] is Outcome.REGRESSION
    assert outcomes(judged(stored, a_run(0, {"cpu": 4.2})))["cpu"] is Outcome.IMPROVED
    assert outcomes(judged(stored, a_run(0, {"p99": 2e3})))["p99"] is Outcome.WARNING


def test_three_runs_are_too_few() -> None:
    found = judged([a_run()] * 3, a_run(0, {"cpu": 50.0}))
    assert {each.outcome for each in found if each.metric != ERRORS} == {Outcome.INCONCLUSIVE}
    assert "3 of the 4" in found[-1].reason
    with pytest.raises(ValueError, match="4 runs"):
        fit([1.0] * 3, [1.0] * 3)


def test_a_model_that_the_baseline_does_not_have_has_no_baseline() -> None:
    new = dataclasses.replace(
        a_run(), cells=[CellRun(cell=CELL._replace(model="thread"), figures=TYPICAL)]
    )
    assert [each.outcome for each in judged([a_run()] * 5, new)] == [Outcome.NO_BASELINE]


def test_a_failure_is_invalid_and_new_errors_are_a_regression() -> None:
    failed = dataclasses.replace(a_run(), cells=[CellRun(cell=CELL, failure="it died")])
    wrong = dataclasses.replace(
        a_run(), cells=[CellRun(cell=CELL, figures=TYPICAL, errors={"mismatch": 3})]
    )
    assert outcomes(judged([a_run()] * 5, failed)) == {ERRORS: Outcome.INVALID}
    assert outcomes(judged([a_run()] * 5, wrong)) == {ERRORS: Outcome.REGRESSION}


def test_the_notes_say_how_fast_the_machine_is_and_which_beta_was_fitted() -> None:
    stored = runs_of(np.random.default_rng(8), [-0.1, -0.05, 0.0, 0.05, 0.1], beta=1)
    first, *others = notes(stored, a_run(0.2), LIMITS)
    assert "22% slower" in first
    assert all("beta" in sentence and "PSS" not in sentence for sentence in others)


# The reference workload.


def test_the_reference_workload_changes_with_its_version_only() -> None:
    source = Path(reference_load.__file__).read_bytes()
    assert (reference_load.VERSION, hashlib.sha256(source).hexdigest()) == FROZEN


def test_the_reference_workload_imports_the_standard_library_only() -> None:
    roots = {name.split(".")[0] for name in imports(Path(reference_load.__file__))}
    assert roots <= sys.stdlib_module_names - OURS


# Runs on disk, and live.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of baselines of a working directory of our own."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / bench.gate.stored.FOLDER
    made.mkdir(parents=True)
    return made


def keep(folder: Path, runs: Sequence[BaselineRun], name: str = "laptop") -> None:
    lines = [json.dumps(run.to_json()) + "\n" for run in runs]
    (folder / f"{name}.jsonl").write_text("".join(lines))


def judge_now(enforced: bool = False) -> GateReport:
    rules = GateRules(shape=TINY)
    return judge("laptop", [find("coroutine")], [LOAD], rules, enforced=enforced, said=print)


def test_a_live_run_is_stored_and_the_next_one_judged_by_it(folder: Path) -> None:
    model, said = find("coroutine"), list[str]()
    save("laptop", [model], [LOAD], runs=1, seed=1, said=said.append, shape=TINY)
    (run,) = read("laptop")
    assert run.figures[CELL].keys() == GATE_METRICS.keys()
    assert len(run.reference_us) == bench.gate.stored.BLOCKS
    assert run.failures == {}
    assert said[0].startswith("run 1 of 1")
    keep(folder, [run] * 4)
    report = judge_now()
    assert [each.metric for each in report.verdicts] == [ERRORS, *GATE_METRICS]
    assert all(each.effect for each in report.verdicts[1:])
    assert not report.enforced
    assert report.exit_code() in {0, 4}
    assert ADVICE in report.notes


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaselineRun], None]:
    """Have every run give these figures."""
    return lambda run: monkeypatch.setattr(bench.gate.stored, "measure", lambda *_: run)


def test_it_warns_unless_it_is_told_to_fail(
    folder: Path, made_up: Callable[[BaselineRun], None]
) -> None:
    keep(folder, runs_of(np.random.default_rng(9), [-0.05, 0.05] * 4, beta=0))
    made_up(a_run(0, {"cpu": 50.0}))
    assert judge_now().exit_code() == 0
    assert judge_now(enforced=True).exit_code() == 1


def test_saving_again_adds_runs(folder: Path, made_up: Callable[[BaselineRun], None]) -> None:
    made_up(a_run(0.1))
    for runs in (2, 3):
        save("laptop", [], [LOAD], runs=runs, seed=1, said=print)
    assert read("laptop") == [a_run(0.1)] * 5
    assert names() == ["laptop"]
    assert [path.name for path in folder.iterdir()] == ["laptop.jsonl"]


OTHERS = [
    (dataclasses.replace(a_run(), machine=fingerprint() | {field: "other"}), field)
    for field in ("cpu", "kernel", "python", "gil")
] + [
    (dataclasses.replace(a_run(), reference=0), "reference workload"),
    (
        dataclasses.replace(
            a_run(),
            cells=[
                CellRun(cell=CELL._replace(level="64 connections, 64 B, split"), figures=TYPICAL)
            ],
        ),
        "split",
    ),
]


@pytest.mark.parametrize(("stored", "reason"), OTHERS, ids=[reason for _, reason in OTHERS])
def test_other_conditions_say_nothing_and_get_no_further_runs(
    folder: Path, stored: BaselineRun, reason: str
) -> None:
    keep(folder, [stored] * 5)
    report = judge_now()
    assert {each.outcome for each in report.verdicts} == {Outcome.INCONCLUSIVE}
    assert all(reason in each.reason for each in report.verdicts)
    assert report.exit_code() == 4
    with pytest.raises(DifferentMachineError, match=reason):
        save("laptop", [], [LOAD], runs=1, seed=1, said=print)
    assert len(read("laptop")) == 5


def test_a_file_left_empty_by_a_full_disk_is_no_baseline(folder: Path) -> None:
    keep(folder, [])
    assert names() == []
    with pytest.raises(NoBaselineError, match="laptop"):
        read("laptop")


@pytest.mark.parametrize("line", ["{", "{}", json.dumps(a_run().to_json() | {"seed": "one"})])
def test_a_line_that_cannot_be_read_is_said_to_be(folder: Path, line: str) -> None:
    (folder / "laptop.jsonl").write_text(f"{line}\n")
    with pytest.raises(StoreError, match="laptop"):
        read("laptop")


# The command line.


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["gate", "--against", "labtop"], 5, "did you mean 'laptop'?"),
        (["gate", "--against", "desktop"], 5, "'desktop': `baseline save desktop` makes one"),
        (["gate", "--against", "../laptop"], 2, "cannot be the name"),
        (["gate", "--against", "laptop", "--base", "HEAD"], 2, "one of --base REF and --against"),
        (["baseline", "save", "laptop", "--scenarios", "ecko"], 2, "echo"),
        (["baseline", "save", "laptop"], 2, "kernel: other"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    keep(folder, [OTHERS[1][0]])
    monkeypatch.setattr(sys, "argv", ["threadmill", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capfd.readouterr().err
    assert (ended.value.code, err.count("\n")) == (code, 1)
    assert sentence in err


def test_the_list_has_every_baseline(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    keep(folder, [a_run()] * 3)
    monkeypatch.setattr(sys, "argv", ["threadmill", "baseline", "list"])
    with pytest.raises(SystemExit):
        main()
    assert "laptop  3     2026-11-24T12:00" in capfd.readouterr().out
    monkeypatch.setattr(sys, "argv", ["threadmill", "baseline", "list", "--json"])
    with pytest.raises(SystemExit):
        main()
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["name"], row["runs"], row["cells"]) == ("laptop", 3, [CELL.name])


def test_a_run_in_which_a_server_failed_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> object:
        raise SideFailed("head", "the server died")

    monkeypatch.setattr(bench.gate.stored, "_one_server", failing)
    with pytest.raises(RunFailedError, match=r"coroutine/echo failed.*the server died"):
        save("x", [find("coroutine")], [ECHO_64], runs=1, seed=1, said=print, folder=tmp_path)
    assert names(tmp_path) == []


GOLDEN = Path(__file__).parent / "golden" / "baseline-schema-1.jsonl"


def test_a_baseline_of_schema_1_is_read_cell_by_cell(folder: Path) -> None:
    (folder / "old.jsonl").write_bytes(GOLDEN.read_bytes())
    (old,) = map(json.loads, GOLDEN.read_text().splitlines())
    (run,) = read("old")
    assert old["schema"] == 1
    assert {f"{key.model}/{key.scenario}": found for key, found in run.figures.items()} == (
        old["figures"]
    )
    assert run.levels == old["levels"]
    assert outcomes(judged([run] * 4, run))[ERRORS] is Outcome.PASS
    assert BaselineRun.from_json(json.loads(json.dumps(run.to_json()))) == run
