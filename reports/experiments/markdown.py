"""The findings as one page of Markdown."""

from __future__ import annotations

__all__ = ["markdown"]

from collections.abc import Iterator, Sequence

from reports.experiments.finding import VERDICTS
from reports.experiments.record import Finding
from reports.experiments.table import figures_of, interpreter_of, table_of, who_says


def markdown(findings: Sequence[Finding], command: str) -> str:
    """Return the page; `command` is what makes it anew."""
    return "\n".join(_lines(findings, command)) + "\n"


def _lines(findings: Sequence[Finding], command: str) -> Iterator[str]:
    first = findings[0]
    yield "# The tutorial, measured"
    yield ""
    yield "Every claim of the course as an experiment that anyone can run, and what came of it on"
    yield "one machine. The section numbers are the course's; [the map](course.md) has all of them."
    yield f"This page is generated: `{command}`."
    yield ""
    yield (
        f"*{first.started[:10]}, effort {first.effort}, {interpreter_of(first.interpreter)},"
        f" {first.machine.get('cpu', 'unknown CPU')},"
        f" {first.machine.get('cpus_allowed', '?')} CPUs, {first.machine.get('kernel', '')}."
        " In brackets: the interquartile range of timings within a process, the range over runs of"
        " whole processes. Where a figure of the course was taken"
        " on another machine the ratio is judged, never the seconds.*"
    )
    yield ""
    yield "| experiment | section | question | verdict |"
    yield "|---|---|---|---|"
    for found in findings:
        yield _row(
            (
                f"[{found.name}](#{found.name})",
                found.section,
                found.question,
                VERDICTS[found.verdict],
            )
        )
    for found in findings:
        yield from _section(found)


def _section(found: Finding) -> Iterator[str]:
    yield ""
    yield f"## {found.name}"
    yield ""
    yield f"{found.question} {who_says(found.section)}: {found.claim}"
    yield ""
    if found.rows:
        yield _row([found.varies, *figures_of(found.rows)])
        yield _row(["---", *("---:" for _ in figures_of(found.rows))], gap="")
        for case, cells in table_of(found.rows):
            figures = [f"{c.words} ({c.interval})" if c.interval else c.words for c in cells]
            yield _row([case, *figures])
        yield ""
    for note in found.notes:
        yield f"*{_sentence(note)}*"
        yield ""
    yield f"**{VERDICTS[found.verdict].capitalize()}**: {_sentence(found.because)} {found.advice}"


def _sentence(words: str) -> str:
    return words if words.endswith(".") else words + "."


def _row(cells: Sequence[str], gap: str = " ") -> str:
    return "|" + "|".join(f"{gap}{cell.replace('|', '/')}{gap}" for cell in cells) + "|"
