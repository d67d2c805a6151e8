"""Regressions that somebody acknowledged: `thread/echo/cpu until 2027-01-31: why`. Pure.

An allowance names verdicts by model, scenario and metric, each of which may be a pattern such as
`*`. It turns a regression into one that is allowed up to and including its date; after that the
regression counts again, and says that it once was allowed.
"""

from __future__ import annotations

__all__ = ["Allowance", "AllowanceError", "allow"]

import dataclasses
import re
from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import NamedTuple, Self

from reports.gate.verdicts import GateReport, Outcome, Verdict

FORM = "MODEL/SCENARIO/METRIC until YYYY-MM-DD: WHY"


class AllowanceError(ValueError):
    """A text that is no allowance; the message is a sentence."""

    exit_code = 2  # the user's to mend


class Allowance(NamedTuple):
    """One of them."""

    pattern: str
    until: date
    why: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an allowance; AllowanceError when it is none, or gives no reason."""
        found = re.fullmatch(r"\s*([^/\s]+/[^/\s]+/[^/\s]+) until (\d{4}-\d\d-\d\d): *(\S.*)", text)
        try:
            if found:
                return cls(found[1], date.fromisoformat(found[2]), found[3].strip())
        except ValueError as error:
            raise AllowanceError(f"there is no such date in {text!r}: {error}") from error
        raise AllowanceError(f"an allowance has the form {FORM!r}, not {text!r}")


def allow(report: GateReport, allowances: Sequence[Allowance], today: date) -> GateReport:
    """Return the report with those regressions allowed that an allowance names."""
    verdicts = [_allowed(verdict, allowances, today) for verdict in report.verdicts]
    return dataclasses.replace(report, verdicts=verdicts)


def _allowed(verdict: Verdict, allowances: Sequence[Allowance], today: date) -> Verdict:
    if verdict.outcome is not Outcome.REGRESSION:
        return verdict
    named = [each for each in allowances if fnmatchcase(verdict.name, each.pattern)]
    if not named:
        return verdict
    latest = max(named, key=lambda allowance: allowance.until)
    if today > latest.until:
        reason = f"allowed until {latest.until}, which is over: {latest.why}"
        return dataclasses.replace(verdict, reason=reason)
    reason = f"allowed until {latest.until}: {latest.why}"
    return dataclasses.replace(verdict, outcome=Outcome.ALLOWED, reason=reason)
