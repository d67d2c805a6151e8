"""A Finding: what one experiment has come to, as a record like all others."""

from __future__ import annotations

__all__ = ["FILE", "Finding"]

from dataclasses import dataclass, field
from typing import Any

from reports.experiments.finding import Row
from reports.schema import Record

FILE = "findings.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Record):
    """One experiment, run once: everything that a reader needs to judge it.

    Schema history
        1  (2026-11)  the first.
    """

    name: str
    question: str
    claim: str
    section: str  # of the course, or "ours"
    varies: str
    measures: str
    refuted_by: str
    advice: str  # what to do with it
    effort: str
    started: str  # UTC, ISO 8601
    seconds: float
    interpreter: dict[str, Any]  # implementation, python, gil, jit of the measured process
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    code: str  # of the measured part, as it ran
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what could not be measured here, and why
    verdict: str  # holds, refuted or untold
    because: str  # a sentence with the figure
    failure: str = ""  # why it did not come to its end; empty: it did
