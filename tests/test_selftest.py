"""The selftest's own bookkeeping, and its servers; the figures are for a quiet machine to show."""

from __future__ import annotations

import pytest

from bench.check import selftest
from bench.check.selftest import Check, Finding, run_checks, stall_p99_ns
from bench.measure.null import drive, helper, null_server
from bench.measure.placement import allowed_cpus
from reports.load import Load


def check(*outcomes: bool) -> Check:
    findings = iter(outcomes)
    return Check("a check", "so much", lambda: Finding("that much", next(findings)))


def test_a_check_that_breaks_every_time_has_failed_and_says_what_was_expected() -> None:
    said: list[str] = []
    (outcome,) = run_checks([check(False, False, False)], said.append)
    assert not outcome.ok
    assert outcome.attempts == 3
    assert said[0].startswith("FAILED")
    assert "so much" in said[1]
    assert "that much" in said[2]


def test_a_check_that_was_disturbed_is_tried_again_and_says_so() -> None:
    said: list[str] = []
    (outcome,) = run_checks([check(False, True)], said.append)
    assert (outcome.ok, outcome.attempts) == (True, 2)
    assert "at attempt 2" in said[0]


def test_theory_says_90_ms_for_a_stall_of_a_tenth() -> None:
    assert stall_p99_ns() == pytest.approx(90e6)


def test_a_server_of_known_delay_is_never_early() -> None:
    cpus = allowed_cpus()
    with helper("clients.targets.known", cpus, "delay", "0.005") as server:
        tally = drive(server.aimed(Load(connections=4, rate=200.0)), cpus, 0.3)
    assert tally.requests > 0
    assert sum(tally.errors.values()) == 0
    assert tally.answered.min() >= 5_000_000 * (1 - 1 / 1024)


def test_a_stalling_server_answers_right_also_after_the_stall() -> None:
    cpus = allowed_cpus()
    with helper("clients.targets.known", cpus, "stall", "0.05", "0.1") as server:
        tally = drive(server.aimed(Load(connections=4)), cpus, 0.3)
    assert tally.requests > 0
    assert sum(tally.errors.values()) == 0


def test_the_null_server_is_a_yardstick_that_answers() -> None:
    cpus = allowed_cpus()
    with null_server(cpus) as server:
        assert server.pid > 1
        assert drive(server.aimed(Load(framing="rawecho")), cpus, 0.1).requests > 0


@pytest.mark.parametrize(("model", "worse"), [("process", 2.0), ("thread", 0.5)])
def test_an_order_turned_around_breaks_its_check(
    model: str, worse: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "trial_of", lambda name, _: name)
    monkeypatch.setattr(selftest, "cpu_us", lambda name: {"process": 1.0 * worse}.get(name, 1.0))
    assert selftest.find_fork_cost().ok is (model == "process")
