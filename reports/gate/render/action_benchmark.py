"""A gate's figures in github-action-benchmark's custom form, `customSmallerIsBetter`.

One list holds figures of one direction only, so throughput is given as the time that an answer
takes, its reciprocal in us.
"""

from __future__ import annotations

__all__ = ["entries"]

from typing import Any

from reports.gate.render.words import sentence_of
from reports.gate.verdicts import GATE_METRICS, GateReport, Verdict


def entries(report: GateReport) -> list[dict[str, Any]]:
    """Return an entry for each figure of the head: name, unit, value, range and extra."""
    return [_entry(verdict) for verdict in report.verdicts if verdict.head]


def _entry(verdict: Verdict) -> dict[str, Any]:
    metric = GATE_METRICS[verdict.metric]
    assert verdict.head is not None  # noqa: S101  # for mypy: entries() asks
    inverse = metric.more_is_better
    return {
        "name": f"{verdict.cell.name}/" + ("time per answer" if inverse else metric.name),
        "unit": "us" if inverse else metric.unit,
        "value": 1e6 / verdict.head if inverse else verdict.head,
        "range": f"± {verdict.effect.noise:.1%}" if verdict.effect else "",
        "extra": sentence_of(verdict),
    }
