"""A gate's report as Markdown, for a step summary or a comment."""

from __future__ import annotations

__all__ = ["markdown"]

from reports.gate.render.words import circumstances, headline, noteworthy, sentence_of, words_of
from reports.gate.verdicts import GateReport, Outcome

MARKS = {
    Outcome.INVALID: ":x:",
    Outcome.REGRESSION: ":x:",
    Outcome.INCONCLUSIVE: ":grey_question:",
    Outcome.WARNING: ":warning:",
    Outcome.ALLOWED: ":warning:",
    Outcome.IMPROVED: ":rocket:",
    Outcome.PASS: ":white_check_mark:",
    Outcome.NO_BASELINE: ":heavy_minus_sign:",
}
HEADINGS = (
    "model",
    "figure",
    "base",
    "head",
    "change",
    "95% interval",
    "p",
    "noise",
    "sees",
    "K",
    "verdict",
)


def markdown(report: GateReport) -> str:
    """Return the report; everything but what is not a pass is folded away."""
    lines = [f"### threadmill gate: {_safe(headline(report))}", ""]
    lines += [f"- {MARKS[each.outcome]} {_safe(sentence_of(each))}" for each in noteworthy(report)]
    if report.verdicts:
        lines += [
            "",
            "<details><summary>Every verdict</summary>",
            "",
            *_table(report),
            "",
            "</details>",
        ]
    lines += ["", *(f"{_safe(line)}  " for line in circumstances(report)), ""]
    return "\n".join(lines)


def _table(report: GateReport) -> list[str]:
    rows = [_row(HEADINGS), "|---|---|" + "---:|" * 8 + "---|"]
    for verdict in report.verdicts:
        name = f"{verdict.model} {verdict.scenario}"
        mark = f"{MARKS[verdict.outcome]} {verdict.outcome}"
        rows.append(_row((name, *words_of(verdict), mark)))
    return rows


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_safe, cells)) + " |"


def _safe(text: str) -> str:
    """Return text on one line, nothing in it markup: a server's last words may be anything."""
    escaped = (
        text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "\\`")
    )
    return " ".join(escaped.split())
