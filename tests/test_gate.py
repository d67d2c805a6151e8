"""The gate as it is conducted: which pairs are measured, when it stops, and how it exits."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest

import bench.verbs.gate as verb
from bench.__main__ import main
from bench.gate import against_commit
from bench.gate.rounds import ECHO_64, GateRules, placed, scenario_named, verdicts
from bench.measure.pairs import Shape, SideBySide
from bench.plan.available import CARD
from bench.plan.order import PlannedCell, cells
from bench.plan.scenarios import SCENARIOS
from reports.gate.verdicts import Outcome, Pair, Verdict
from servers.catalog import find
from tests.conftest import ROOT
from tests.projects import edit, make_project, needs_git
from tests.test_gate_verdicts import pair

CELLS = cells([find("thread"), find("coroutine")], [ECHO_64])
Measure = Callable[[PlannedCell, int], Pair]


class Done(NamedTuple):
    """How the verb ended."""

    code: int
    out: str
    err: str


Gate = Callable[..., Done]


@pytest.fixture
def conducted(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Measure], tuple[list[Verdict], Counter[Any]]]:
    """Conduct a gate whose pairs are made up; gives the verdicts and the pairs by model, block."""

    def conduct(measure: Measure) -> tuple[list[Verdict], Counter[Any]]:
        counted: Counter[Any] = Counter()

        def made_up(
            _self: SideBySide,
            cell: PlannedCell,
            _base: Path,
            _head: Path,
            *,
            block: int,
            rng: Random,
        ) -> Pair:
            assert rng
            counted[cell.model.name, block] += 1
            return dataclasses.replace(measure(cell, block), cell=cell.key, block=block)

        monkeypatch.setattr(SideBySide, "measure", made_up)
        return verdicts(CELLS, ROOT, ROOT, [0, 1], GateRules(most_blocks=3)), counted

    return conduct


Conduct = Callable[[Measure], tuple[list[Verdict], "Counter[Any]"]]


def outcomes(found: Sequence[Verdict], model: str) -> dict[str, Outcome]:
    return {each.metric: each.outcome for each in found if each.model == model}


def test_equal_sides_take_one_block(conducted: Conduct) -> None:
    found, counted = conducted(lambda _cell, _block: pair())
    assert {each.outcome for each in found} == {Outcome.PASS}
    assert counted == {("thread", 1): 12, ("coroutine", 1): 12}


def test_only_what_is_suspected_gets_another_block(conducted: Conduct) -> None:
    found, counted = conducted(
        lambda cell, _block: pair(factors={"cpu": 1.2} if cell.model.name == "thread" else {})
    )
    assert outcomes(found, "thread")["cpu"] is Outcome.REGRESSION
    assert counted == {("thread", 1): 12, ("coroutine", 1): 12, ("thread", 2): 12}


def test_what_is_not_confirmed_is_no_regression(conducted: Conduct) -> None:
    found, counted = conducted(
        lambda _cell, block: pair(factors={"cpu": 1.1 if block == 1 else 0.99})
    )
    assert outcomes(found, "thread")["cpu"] is Outcome.PASS
    assert counted["thread", 2] == 12


def test_a_doubt_that_stays_ends_at_the_last_block(conducted: Conduct) -> None:
    turn = Counter[str]()

    def wild(cell: PlannedCell, _block: int) -> Pair:
        turn[cell.model.name] += 1
        return pair(factors={"cpu": 1.6 if turn[cell.model.name] % 2 else 1 / 1.6})

    found, counted = conducted(wild)
    assert outcomes(found, "thread")["cpu"] is Outcome.INCONCLUSIVE
    assert counted["thread", 3] == 12
    assert counted["thread", 4] == 0


def test_a_server_that_fails_is_not_tried_again(conducted: Conduct) -> None:
    def failing(cell: PlannedCell, _block: int) -> Pair:
        broken: dict[str, Any] = {"figures": {}, "failure": "it died", "failed": "head"}
        return pair(**(broken if cell.model.name == "thread" else {}))

    found, counted = conducted(failing)
    assert outcomes(found, "thread") == {"errors": Outcome.INVALID}
    assert counted == {("thread", 1): 1, ("coroutine", 1): 12}


def test_the_gates_echo_has_the_least_work_and_one_cpu() -> None:
    assert scenario_named("echo").load.size_bytes == 64
    assert placed(scenario_named("echo"), "").serving.placement == "same"
    assert placed(scenario_named("echo"), "split").serving.placement == "split"


def test_what_is_about_several_cpus_keeps_them_unless_told() -> None:
    assert placed(SCENARIOS["compute"], "").serving.placement == "free"
    assert placed(SCENARIOS["compute"], "same").serving.placement == "same"


# The verb.


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose working tree differs from its commit in what asyncio imports."""
    folder = make_project(tmp_path_factory.mktemp("project"))
    edit(folder, "drivers/streams.py")
    return folder


@pytest.fixture
def gate(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run the verb in that project."""
    monkeypatch.setattr(verb, "ROOT", project)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["threadmill", "gate", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the verb find these outcomes for the CPU of whatever it judges."""

    def find_these(outcome: Outcome) -> None:
        def made_up(cells: Sequence[PlannedCell], *_: object) -> list[Verdict]:
            return [Verdict(cell=cell.key, metric="cpu", outcome=outcome) for cell in cells]

        monkeypatch.setattr(against_commit, "verdicts", made_up)

    return find_these


@pytest.mark.parametrize(
    ("outcome", "words", "code"),
    [
        (Outcome.PASS, (), 0),
        (Outcome.REGRESSION, (), 1),
        (Outcome.REGRESSION, ("--allow", "*/echo/cpu until 2999-12-31: a test"), 0),
        (Outcome.REGRESSION, ("--allow", "*/echo/cpu until 2001-12-31: a test"), 1),
        (Outcome.INVALID, ("--inconclusive", "pass"), 3),
        (Outcome.INCONCLUSIVE, (), 4),
        (Outcome.INCONCLUSIVE, ("--inconclusive", "pass"), 0),
    ],
)
@needs_git
def test_exit_codes(
    gate: Gate,
    judged: Callable[[Outcome], None],
    outcome: Outcome,
    words: tuple[str, ...],
    code: int,
) -> None:
    judged(outcome)
    assert gate("--base", "HEAD", *words).code == code


@needs_git
def test_models_whose_files_did_not_change_can_be_left_out(
    gate: Gate, judged: Callable[[Outcome], None], tmp_path: Path
) -> None:
    judged(Outcome.PASS)
    file = tmp_path / "gate.json"
    done = gate("--base", "HEAD", "--changed", "--json", str(file))
    report = json.loads(file.read_text())
    assert {each["model"] for each in report["verdicts"]} == {"asyncio"}
    assert report["left_out"].keys() == set(CARD) - {"asyncio"}
    assert "thread-pool" in done.out


@needs_git
def test_a_model_that_the_base_does_not_have_is_no_failure(
    gate: Gate, judged: Callable[[Outcome], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(Outcome.PASS)
    monkeypatch.setattr(against_commit, "models_in", lambda _tree: {"thread"})
    assert gate("--base", "HEAD", "--models", "thread,asyncio").code == 0
    assert gate("--base", "HEAD", "--models", "asyncio").code == 5


@needs_git
def test_a_base_without_servers_is_no_baseline(gate: Gate) -> None:
    done = gate("--base", "HEAD~1")
    assert done.code == 5
    assert "no folder servers" in done.err


@needs_git
def test_a_ci_is_told_in_its_own_words(
    gate: Gate,
    judged: Callable[[Outcome], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    judged(Outcome.REGRESSION)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = gate("--base", "HEAD", "--models", "thread")
    assert "::error" in done.out
    assert "thread" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "one of --base REF and --against NAME"),
        (("--base", "HEAD", "--against", "x"), "one of --base REF and --against NAME"),
        (("--against", "x", "--changed"), "--changed compares files"),
        (("--base", "no-such-ref"), "knows no revision 'no-such-ref'"),
        (("--base", "HEAD", "--models", "thraed"), "did you mean 'thread'"),
        (("--base", "HEAD", "--scenarios", "ecko"), "did you mean 'echo'"),
        (("--base", "HEAD", "--placement", "smae"), "did you mean 'same'"),
        (("--base", "HEAD", "--allow", "everything"), "an allowance has the form"),
    ],
)
@needs_git
def test_a_mistake_is_one_sentence_and_exit_code_2(
    gate: Gate, words: tuple[str, ...], sentence: str
) -> None:
    done = gate(*words)
    assert done.code == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1


@needs_git
def test_a_real_gate_of_one_model_against_its_own_commit(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Slices so short say little about CPU: this is about the way through, not about a verdict."""
    shape = Shape(slices=1, slice_seconds=0.02, warm_up_seconds=0.01)

    def quick(
        cells: Sequence[PlannedCell], base: Path, head: Path, cpus: Any, rules: GateRules, said: Any
    ) -> list[Verdict]:
        short = dataclasses.replace(rules, shape=shape, most_blocks=1)
        return verdicts(cells, base, head, cpus, short, said)

    monkeypatch.setattr(against_commit, "verdicts", quick)
    junit = tmp_path / "gate.xml"
    done = gate("--base", "HEAD", "--models", "coroutine", "--pairs", "8", "--junit", str(junit))
    assert done.code in {0, 4}, done
    assert "coroutine" in done.out
    cases = ET.parse(junit).iter("testcase")  # noqa: S314  # we wrote it
    assert len(list(cases)) == 6
