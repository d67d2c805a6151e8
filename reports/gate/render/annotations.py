"""A gate's verdicts as GitHub's workflow commands: `::error` and `::warning` lines.

In a message %, CR and LF are percent-encoded, in a property : and , as well (GitHub Docs,
"Workflow commands for GitHub Actions").
"""

from __future__ import annotations

__all__ = ["workflow_commands"]

from collections.abc import Mapping

from reports.gate.render.words import noteworthy, sentence_of
from reports.gate.verdicts import GateReport, Outcome

COMMANDS: Mapping[Outcome, str] = {
    Outcome.INVALID: "error",
    Outcome.REGRESSION: "error",
    Outcome.INCONCLUSIVE: "warning",
    Outcome.WARNING: "warning",
    Outcome.ALLOWED: "warning",
    Outcome.IMPROVED: "notice",
}


def workflow_commands(report: GateReport) -> list[str]:
    """Return a line for each verdict that somebody should see."""
    return [
        f"::{_command(each.outcome, report)} title={_property(f'threadmill {each.name}')}"
        f"::{_message(sentence_of(each))}"
        for each in noteworthy(report)
        if each.outcome in COMMANDS
    ]


def _command(outcome: Outcome, report: GateReport) -> str:
    if outcome is Outcome.REGRESSION and not report.enforced:
        return "warning"
    return COMMANDS[outcome]


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
