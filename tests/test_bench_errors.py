"""What ends a verb is one sentence and an exit code that says whose fault it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

import bench.__main__
from bench.errors import BenchError, NothingToCompareError, TroubleError, UserError
from bench.gate.stored import DifferentMachineError, RunFailedError
from bench.gate.worktree import NoBaselineError, RevisionError
from bench.measure.launch import ServerDied
from bench.plan.precision import QuantityError
from bench.plan.scenarios import UnknownNameError
from clients.engine.generator import GeneratorError
from reports.gate.allowances import AllowanceError
from reports.gate.render.proof_text import MarkerError
from reports.store import StoreError, disk_errors
from reports.trend.foreign import InvalidResultsError, UnreadableError
from servers.catalog import UnknownModel
from tests.commands import Done, bench_in_process


def ended_by(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Done:
    """Return how the command ends when a verb raises `error`."""

    def verb(**_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(bench.__main__, "app", verb)
    return bench_in_process("models")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QuantityError("a sentence"), 2),
        (UnknownNameError("scenario", "ecko", {"echo": 1}), 2),
        (RevisionError("a sentence"), 2),
        (DifferentMachineError("a sentence"), 2),
        (AllowanceError("a sentence"), 2),
        (MarkerError("a sentence"), 2),
        (UnreadableError("a sentence"), 2),
        (UnknownModel("tread", "thread"), 2),
        (StoreError("there is no run"), 2),
        (InvalidResultsError("a sentence"), 3),
        (RunFailedError("a sentence"), 3),
        (ServerDied("a sentence"), 3),
        (GeneratorError("a sentence"), 3),
        (OSError(24, "too many open files"), 3),
        (NoBaselineError("a sentence"), 5),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_what_is_foreseen_is_one_sentence_and_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ended_by(error, monkeypatch)
    assert done.returncode == code
    assert done.stderr.startswith("threadmill: ")
    assert str(error) in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError(), monkeypatch)


def test_what_a_disk_refuses_is_trouble_and_not_the_user_s_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StoreError) as caught, disk_errors("store a result"):
        raise OSError(28, "No space left on device")
    assert ended_by(caught.value, monkeypatch).returncode == 3


def family(base: type[BenchError] = BenchError) -> Iterator[type[BenchError]]:
    for each in base.__subclasses__():
        yield each
        yield from family(each)


def test_every_error_of_the_bench_is_somebody_s_to_mend() -> None:
    branches = (UserError, TroubleError, NothingToCompareError)
    assert [each.exit_code for each in branches] == [2, 3, 5]
    assert [each for each in family() if not issubclass(each, branches)] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("report", "none", "--results", "."), 2),
        (("gate", "--base", "no-such-revision"), 2),
        (("compare", "broken.json", "broken.json"), 3),
        (("gate", "--against", "no-such-baseline"), 5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_verb_ends_with_the_exit_code_of_its_error(
    words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text('{"benchmarks": [{"a": NaN}]}')
    done = bench_in_process(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1
