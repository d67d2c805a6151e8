"""A gate's report for the terminal: what is not a pass first, then every verdict in a table."""

from __future__ import annotations

__all__ = ["gate_table"]

from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.gate.render.words import circumstances, headline, noteworthy, sentence_of, words_of
from reports.gate.verdicts import GateReport, Outcome

STYLES: Mapping[Outcome, str] = {
    Outcome.INVALID: "bold red",
    Outcome.REGRESSION: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NO_BASELINE: "dim",
    Outcome.ALLOWED: "yellow",
    Outcome.WARNING: "yellow",
    Outcome.IMPROVED: "green",
    Outcome.PASS: "",
}
SHORT = {
    "Latency p50": "p50",
    "Latency p99": "p99",
    "CPU per request": "CPU",
    "PSS under load": "PSS",
}
HEADLINE_STYLES = {0: "bold green", 1: "bold red", 3: "bold red", 4: "bold yellow", 5: "yellow"}


def gate_table(report: GateReport) -> RenderableType:
    """Return the renderable report; it fits 80 columns."""
    parts: list[RenderableType] = []
    if report.verdicts:
        parts.append(_table(report))
    parts += [Text(line, "dim") for line in circumstances(report)]
    parts += [Text(sentence_of(verdict), STYLES[verdict.outcome]) for verdict in noteworthy(report)]
    # Last: it is what a terminal shows when it has scrolled.
    parts.append(Text(headline(report), HEADLINE_STYLES[report.exit_code()]))
    return Group(*parts)


def _table(report: GateReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("model", "figure"):
        table.add_column(heading, no_wrap=True)
    for heading in ("change", "interval", "noise", "sees", "K"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    shown = ""
    for verdict in report.verdicts:
        words = words_of(verdict)
        scenario = "" if verdict.scenario == "echo" else f" {verdict.scenario}"
        name = verdict.model + scenario
        table.add_row(
            "" if name == shown else name,
            SHORT.get(words.figure, words.figure),
            words.change,
            words.interval.replace(" to ", " "),
            words.noise,
            words.sees,
            words.pairs,
            Text(str(verdict.outcome), STYLES[verdict.outcome]),
        )  # fmt: skip
        shown = name
    return table
