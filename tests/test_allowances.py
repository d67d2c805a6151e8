"""Acknowledged regressions: what they name, until when, and what they do not."""

from __future__ import annotations

from datetime import date

import pytest

from reports.gate.allowances import Allowance, AllowanceError, allow
from reports.gate.verdicts import GateReport, Outcome, Verdict
from reports.key import CellKey

DAY = date(2027, 1, 31)


def outcome_of(verdict: Verdict, today: date, *allowances: str) -> Verdict:
    report = GateReport(
        base="", head="", started="", seconds=0, placement="", method="", machine={},
        verdicts=[verdict],
    )  # fmt: skip
    return allow(report, [Allowance.parse(text) for text in allowances], today).verdicts[0]


def regression(metric: str = "cpu") -> Verdict:
    return Verdict(cell=CellKey("echo", "", "thread"), metric=metric, outcome=Outcome.REGRESSION)


def test_an_allowance_says_what_until_when_and_why() -> None:
    parsed = Allowance.parse("thread/echo/cpu until 2027-01-31: the price of timeouts")
    assert parsed == ("thread/echo/cpu", DAY, "the price of timeouts")


@pytest.mark.parametrize(
    "text",
    [
        "thread/echo/cpu",
        "thread/echo/cpu until 2027-01-31",
        "thread/echo/cpu until 2027-01-31:  ",
        "thread/cpu until 2027-01-31: why",
        "thread/echo/cpu until 2027-02-30: why",
        "thread/echo/cpu until soon: why",
    ],
)
def test_what_does_not_say_all_three_is_no_allowance(text: str) -> None:
    with pytest.raises(AllowanceError, match=r"allowance|no such date"):
        Allowance.parse(text)


def test_it_holds_up_to_and_including_its_date() -> None:
    allowed = outcome_of(regression(), DAY, "thread/echo/cpu until 2027-01-31: why")
    assert allowed.outcome is Outcome.ALLOWED
    assert "why" in allowed.reason


def test_after_its_date_it_is_a_regression_that_says_so() -> None:
    over = outcome_of(regression(), date(2027, 2, 1), "thread/echo/cpu until 2027-01-31: why")
    assert over.outcome is Outcome.REGRESSION
    assert "over" in over.reason


def test_of_several_the_longest_counts() -> None:
    short, long = ("*/echo/* until 2026-01-01: a", "thread/*/cpu until 2027-01-31: b")
    assert outcome_of(regression(), DAY, short, long).outcome is Outcome.ALLOWED


def test_it_allows_nothing_that_it_does_not_name() -> None:
    other = outcome_of(regression("pss"), DAY, "thread/echo/cpu until 2027-01-31: why")
    assert other.outcome is Outcome.REGRESSION


def test_a_crash_cannot_be_allowed() -> None:
    crash = Verdict(cell=CellKey("echo", "", "thread"), metric="errors", outcome=Outcome.INVALID)
    kept = outcome_of(crash, DAY, "*/*/* until 2027-01-31: why")
    assert kept.outcome is Outcome.INVALID
