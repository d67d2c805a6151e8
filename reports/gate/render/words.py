"""The words of a gate, which all its renderers share: a headline, and what each verdict says."""

from __future__ import annotations

__all__ = ["circumstances", "headline", "noteworthy", "sentence_of", "words_of"]

from collections.abc import Sequence
from typing import NamedTuple

from reports.gate.verdicts import GATE_METRICS, GateReport, Outcome, Verdict
from reports.units import MISSING

HEADLINES = (
    (Outcome.INVALID, "INVALID", "could not be judged"),
    (Outcome.REGRESSION, "REGRESSION", "got worse"),
    (Outcome.INCONCLUSIVE, "INCONCLUSIVE", "cannot be told"),
)
NOTEWORTHY = tuple(outcome for outcome in Outcome if outcome is not Outcome.PASS)


class Words(NamedTuple):
    """A verdict's figures in words; MISSING where it has none."""

    figure: str  # what was judged
    base: str
    head: str
    change: str
    interval: str
    p: str
    noise: str
    sees: str  # the smallest worsening that it could have seen
    pairs: str


def words_of(verdict: Verdict) -> Words:
    """Return a verdict's figures in words."""
    metric, effect = GATE_METRICS.get(verdict.metric), verdict.effect
    if metric is None or effect is None:
        return Words(metric.title if metric else "Errors", *[MISSING] * 8)
    low, high = sorted(metric.change(bound) for bound in (effect.low, effect.high))
    base, head = (
        MISSING if value is None else metric.write(value) for value in (verdict.base, verdict.head)
    )
    return Words(
        metric.title,
        base,
        head,
        f"{metric.change(effect.estimate):+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        f"{effect.p:.4f}",
        f"{effect.noise:.1%}",
        MISSING if verdict.smallest is None else f"{verdict.smallest:.1%}",
        str(effect.pairs),
    )


def sentence_of(verdict: Verdict) -> str:
    """Return all of a verdict in a sentence."""
    if verdict.effect is None:
        return f"{verdict.name}: {verdict.outcome}" + (f", {verdict.reason}" * bool(verdict.reason))
    words = words_of(verdict)
    parts = [
        f"{verdict.name}: {verdict.outcome}",
        f"{words.change} ({words.interval}), from {words.base} to {words.head}",
        f"p {words.p}, {words.pairs} pairs, noise {words.noise}, could have seen {words.sees}",
    ]
    if verdict.confirmation:
        change = GATE_METRICS[verdict.metric].change(verdict.confirmation.estimate)
        parts.append(f"a fresh block says {change:+.1%}")
    return ", ".join([*parts, *([verdict.reason] if verdict.reason else [])])


def headline(report: GateReport) -> str:
    """Return what came of the whole, in a line."""
    if not report.verdicts:
        return "NOTHING JUDGED: no model was left to compare"
    for outcome, word, what in HEADLINES:
        if found := report.having(outcome):
            names = ", ".join(_short(found))
            warns = "" if report.enforced or outcome is not Outcome.REGRESSION else " (warns only)"
            return f"{word}{warns}: {names} {what}"
    if len(report.having(Outcome.NO_BASELINE)) == len(report.verdicts):
        return "NO BASELINE: the base has none of these models"
    return "PASS: nothing got worse"


def _short(verdicts: Sequence[Verdict], most: int = 4) -> list[str]:
    names = [verdict.name for verdict in verdicts]
    left = len(names) - most
    return names if left <= 0 else [*names[:most], f"{left} more"]


def noteworthy(report: GateReport) -> list[Verdict]:
    """Return every verdict that is not a pass, the worst first."""
    return [verdict for verdict in report.worst() if verdict.outcome in NOTEWORTHY]


def circumstances(report: GateReport) -> list[str]:
    """Return how it was measured, what was left out, and what else must be said."""
    machine = report.machine
    return [
        f"{report.head} against {report.base}; {report.method}",
        f"placement {report.placement}; {report.seconds:.0f} s; "
        + ", ".join(str(machine[name]) for name in ("cpu", "kernel", "python") if name in machine),
        *(f"left out: {model}, {why}" for model, why in report.left_out.items()),
        *report.notes,
    ]
