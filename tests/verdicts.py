"""Made-up reports of a gate, with every outcome and every kind of trouble."""

from __future__ import annotations

import math
from typing import Any

from reports.gate.effects import Effect
from reports.gate.verdicts import ERRORS, GATE_METRICS, LIMITS, GateReport, Outcome, Verdict
from reports.key import CellKey

ALLOWED = "allowed until 2027-01-31: why"
NASTY = "head: the server died:\n  <Traceback> & `100%` |\x1b[31m\x00 done, so: over"


def effect(worse_by: float, noise: float = 0.02, pairs: int = 12) -> Effect:
    """Return the effect of a worsening given as a share."""
    centre = math.log1p(worse_by)
    reach = 2.2 * noise / math.sqrt(pairs)
    return Effect(centre, centre - reach, centre + reach, 0.0005, noise, pairs)


def verdict(
    outcome: Outcome, metric: str = "cpu", worse_by: float = 0.08, **fields: Any
) -> Verdict:
    """Return a verdict with figures."""
    row = GATE_METRICS[metric]
    values: dict[str, Any] = {
        "cell": CellKey("echo", "", "thread"), "metric": metric, "outcome": outcome, "base": 100.0,
        "head": 100.0 * (1 + row.change(math.log1p(worse_by))), "effect": effect(worse_by),
        "limit": LIMITS[metric],
    }  # fmt: skip
    return Verdict(**(values | fields))


def every_outcome() -> list[Verdict]:
    """Return one verdict of each outcome."""
    return [
        verdict(Outcome.REGRESSION, confirmation=effect(0.07)),
        verdict(Outcome.REGRESSION, "throughput", 0.06),
        verdict(Outcome.PASS, "p50", 0.01),
        verdict(Outcome.WARNING, "p99", 0.4),
        verdict(Outcome.INCONCLUSIVE, "pss", 0.03, reason="it may be 12% worse"),
        verdict(Outcome.IMPROVED, "cpu", -0.1, cell=CellKey("echo", "", "asyncio")),
        verdict(
            Outcome.ALLOWED, "cpu", 0.2, cell=CellKey("echo", "", "process-pool"), reason=ALLOWED
        ),
        Verdict(
            cell=CellKey("echo", "", "serial"), metric=ERRORS, outcome=Outcome.INVALID, reason=NASTY
        ),
        Verdict(
            cell=CellKey("churn", "", "socketserver"),
            metric=ERRORS,
            outcome=Outcome.NO_BASELINE,
            reason="the base has no such model",
        ),
    ]


def report(*verdicts: Verdict, **fields: Any) -> GateReport:
    """Return a report of these verdicts."""
    values: dict[str, Any] = {
        "base": "origin/main (0123456789ab)", "head": "the working tree (ba9876543210+)",
        "started": "2026-11-23T18:30:00+00:00", "seconds": 271.5, "placement": "same",
        "method": "side by side, 12 pairs of fresh servers in a block, in each 10 pairs of slices",
        "machine": {"cpu": "AMD EPYC 7B13", "kernel": "Linux 6.1.0", "python": "CPython 3.11.2"},
        "verdicts": list(verdicts), "left_out": {"coroutine": "none of its files differ"},
        "notes": ["a note"],
    }  # fmt: skip
    return GateReport(**(values | fields))
