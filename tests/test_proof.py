"""The gate's self-test: what is injected, the other rules, and verdicts resampled from pairs."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import beta

from bench.gate.injection import CASES, InjectionError
from bench.gate.proving import RecordingError, prove_recording, record, trees_of
from reports.gate.effects import Floats
from reports.gate.proof import (
    CERTAIN,
    THIS_GATE,
    CaseProof,
    Costs,
    Live,
    aims,
    intraclass,
    prove,
    upper_bound,
)
from reports.gate.render.proof_text import (
    BEGIN,
    END,
    MarkerError,
    proof_markdown,
    proof_tables,
    written_into,
)
from reports.gate.rival_rules import RIVAL_RULES
from reports.gate.verdicts import GATE_METRICS, LIMITS, Outcome, Pair
from reports.key import CellKey
from servers.catalog import find
from tests.conftest import ROOT


def a_generator() -> np.random.Generator:
    """Return one of a test's own: with one for all, the order of the tests would matter."""
    return np.random.default_rng(3)


# What is injected.


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_an_injection_changes_what_it_says_and_still_is_python(
    case: object, tmp_path: Path
) -> None:
    injection = CASES[case.name]  # type: ignore[attr-defined]  # its own name
    trees = trees_of(injection.amounting_to(injection.amount or 10), ROOT, tmp_path)
    base, head = ((tree / "servers" / "service.py").read_text() for tree in trees)
    assert (base != head) == bool(injection.insertions)
    ours = (ROOT / "servers" / "service.py").read_text()
    assert (head if injection.in_base else base) == ours
    assert "{amount}" not in head
    for text in (base, head):
        compile(text, "service.py", "exec")


def test_a_service_without_the_place_for_it_is_an_error(tmp_path: Path) -> None:
    service = tmp_path / "project" / "servers" / "service.py"
    service.parent.mkdir(parents=True)
    service.write_text("nothing of the kind\n")
    with pytest.raises(InjectionError, match="0 places"):
        CASES["crash"].into(tmp_path / "project", tmp_path / "tree")


# The other rules.


def scattered(worse_by: float, noise: float = 0.01) -> tuple[Floats, Floats]:
    rng = a_generator()
    base = 100 * np.exp(rng.normal(0, noise, (12, 10)))
    return base, 100 * (1 + worse_by) * np.exp(rng.normal(0, noise, (12, 10)))


@pytest.mark.parametrize("rule", RIVAL_RULES)
def test_every_rule_flags_what_is_much_worse_and_not_what_is_better(rule: str) -> None:
    assert RIVAL_RULES[rule](*scattered(0.3))
    assert not RIVAL_RULES[rule](*scattered(-0.3))


def test_rules_differ_where_a_difference_is_small_but_sure() -> None:
    flagged = {rule: is_worse(*scattered(0.03)) for rule, is_worse in RIVAL_RULES.items()}
    assert not flagged["mean worse than 5%"]
    assert not flagged["asv: 10% and Mann-Whitney"]
    assert flagged["pyperf's t-test"]
    assert flagged["Mann-Whitney at .05"]
    assert flagged["paired z over 2.6"]


def test_runs_that_were_not_side_by_side_are_of_different_pairs() -> None:
    base, head = scattered(0.0)
    slow = np.linspace(1, 1.3, 12)[:, None]  # a machine that slows down: both sides of each pair
    assert RIVAL_RULES["the same, 5 runs against 5 others"](base * slow, head * slow)
    assert not RIVAL_RULES["mean worse than 5%"](base * slow, head * slow)


# Verdicts resampled.


def a_pair(**fields: Any) -> Pair:
    values: dict[str, Any] = {
        "cell": CellKey("echo", "", "coroutine"), "placement": "same", "block": 1, "started": "",
    }  # fmt: skip
    return Pair(**(values | fields))


def pairs(worse_by: float, noise: float = 0.01, count: int = 60) -> list[Pair]:
    """Return pairs whose head is worse in CPU, and noisy in everything."""
    rng = a_generator()
    made = []
    for _ in range(count):
        figures = {}
        for name in GATE_METRICS:
            factor = 1 + worse_by if name == "cpu" else 1.0
            of_pair, slices = rng.normal(0, noise), 1 if name == "pss" else 10
            ratios = factor * np.exp(of_pair + rng.normal(0, noise, slices))
            base = 100 * np.exp(rng.normal(0, noise, slices))
            figures[name] = list(zip(base.tolist(), (base * ratios).tolist(), strict=True))
        made.append(a_pair(figures=figures))
    return made


@functools.cache
def proved(worse_by: float, *, same_code: bool = False, resamples: int = 60) -> CaseProof:
    return prove(
        "case", pairs(worse_by), same_code=same_code, limits=LIMITS, block=12, most_blocks=4,
        resamples=resamples,
    )  # fmt: skip


def test_the_same_code_is_not_called_worse() -> None:
    proof = proved(0.0, same_code=True, resamples=120)
    assert proof.failed == 0
    assert proof.flagged[THIS_GATE] == dict.fromkeys(GATE_METRICS, 0.0)


def test_what_is_worse_is_found_where_it_is_and_nowhere_else() -> None:
    proof = proved(0.2)
    assert proof.flagged[THIS_GATE] == dict.fromkeys(GATE_METRICS, 0.0) | {"cpu": 1.0}
    assert proof.changes["cpu"] == pytest.approx(0.2, abs=0.01)


def test_what_is_better_never_fails() -> None:
    proof = proved(-0.1)
    assert proof.failed == 0
    assert proof.improved["cpu"] == 1.0


def test_intervals_of_resamples_hold_the_truth_about_as_often_as_they_say() -> None:
    proof = proved(0.0, same_code=True, resamples=120)
    assert 0.88 <= np.mean([*proof.coverage.values()]) <= 0.99


def test_too_few_pairs_for_a_confirmation_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        prove("x", pairs(0, count=20), same_code=True, limits=LIMITS, block=12, most_blocks=4)


def test_swapping_a_pair_turns_its_difference_round() -> None:
    cost = Costs.of(pairs(0.1, count=3), GATE_METRICS["throughput"])
    turned = cost.drawn(np.arange(3), np.ones(3, bool))
    assert turned.worse_by() == pytest.approx(-cost.worse_by())


def test_slices_that_share_their_pair_are_seen_to_depend() -> None:
    rng = a_generator()
    shared = np.exp(np.repeat(rng.normal(0, 0.05, (40, 1)), 10, axis=1))
    own = np.exp(rng.normal(0, 0.05, (400, 10)))
    assert intraclass(Costs(np.ones((40, 10)), shared)) == pytest.approx(1.0)
    assert abs(intraclass(Costs(np.ones((400, 10)), own))) < 0.05


def test_no_alarm_of_many_bounds_them_as_the_rule_of_three_does() -> None:
    assert upper_bound(0, 100) == pytest.approx(3 / 100, rel=0.05)
    assert upper_bound(2, 50) == pytest.approx(beta.ppf(0.95, 3, 48))
    assert upper_bound(0, 0) == 1.0


def test_aims_are_missed_when_they_are() -> None:
    found = {
        aim.sentence: aim.met
        for aim in aims(
            {"A/A": proved(0.2), "+8% CPU": proved(0.0)},
            {"crash": Outcome.PASS},
            Live(gates=10, failed=1, inconclusive=0, by_metric={}),
        )
    }
    assert not found["A/A: at most 1% fail"]
    assert not found["+8% CPU: at least 80% found"]
    assert not found["crash: invalid"]
    assert not found["no live A/A gate fails"]


# A recording.


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `gate-selftest` leaves it, its pairs made up."""
    folder = tmp_path_factory.mktemp("recording")
    header = {
        "started": "2026-11-23T18:30:00+00:00", "model": "coroutine",
        "machine": {"cpus_allowed": 2, "cpu": "a CPU", "kernel": "Linux", "python": "CPython"},
    }  # fmt: skip
    lines = [header]
    for case, worse_by in (
        ("A/A", 0.0),
        ("+8% CPU", 0.08),
        ("A/A, split", 0.0),
        ("+8% CPU, split", 0.08),
    ):
        lines += [{"case": case, **pair.to_json()} for pair in pairs(worse_by, count=24)]
    crash = a_pair(figures={}, failure="it died", failed="head")
    lines.append({"case": "crash", **crash.to_json()})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    gate = {"verdicts": [{"metric": "cpu", "outcome": "pass"}]}
    (folder / "verdicts.jsonl").write_text(json.dumps(gate) + "\n")
    return folder


def test_a_recording_is_judged_and_told(recording: Path) -> None:
    proof = prove_recording(recording, block=12, most_blocks=2, resamples=20)
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(proof_tables(proof))
    told = captured.get()
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    for text in (told, proof_markdown(proof)):
        for words in (
            THIS_GATE,
            *RIVAL_RULES,
            "A/A",
            "crash: invalid",
            "no live A/A gate fails",
            "split",
        ):
            assert words in text.replace("\n", " ")
    page = f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n".replace("{}", "coroutine")
    assert "what was there" not in written_into(page, proof)
    assert written_into(page, proof).startswith("before\n")
    with pytest.raises(MarkerError):
        written_into("a page\n", proof)


def test_a_folder_without_a_recording_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no pairs\.jsonl"):
        prove_recording(tmp_path, block=12, most_blocks=2)


def test_the_page_has_a_place_for_the_tables() -> None:
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    for marker in (BEGIN, END):
        assert marker.format("coroutine") in page


def test_cases_that_need_no_figures_are_recorded_live(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    record(
        path, find("coroutine"), ROOT, tmp_path / "trees", pairs=1, seed=1,
        said=lambda _line: None, names=tuple(CERTAIN),
    )  # fmt: skip
    _, *lines = map(json.loads, path.read_text().splitlines())
    by_case = {line.pop("case"): Pair.from_json(line) for line in lines}
    assert by_case["crash"].failed == "head"
    assert by_case["wrong reply"].head_errors["mismatch"] > 0
