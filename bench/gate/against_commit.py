"""The gate against a commit: its servers and those of the working tree take turns now.

`bench.gate.stored` is the same against a baseline that was measured earlier.
"""

from __future__ import annotations

__all__ = ["judge"]

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.gate.rounds import GateRules, verdicts
from bench.gate.worktree import models_in, resolve, side_by_side, unchanged
from bench.interpreters.named import OWN, Interpreter
from bench.measure.machine import fingerprint
from bench.measure.placement import allowed_cpus
from bench.plan.order import Pairing, cells
from bench.plan.scenarios import Scenario
from bench.run.conduct import interruptible
from reports.gate.verdicts import ERRORS, GateReport, Outcome, Verdict
from reports.key import CellKey
from servers.catalog import Model


def judge(
    base: str,
    root: Path,
    models: Sequence[Model],
    scenarios: Sequence[Scenario],
    rules: GateRules,
    *,
    changed: bool,
    said: Callable[[str], object],
    interpreters: Sequence[Interpreter] = (OWN,),
    cannot: Collection[Pairing] = (),
) -> GateReport:
    """Compare the working tree in `root` with a commit; with `changed`, models that differ only.

    Both sides run under the same interpreter, each model under every one of them but for pairs in
    `cannot`.
    """
    commit = resolve(base, root)
    began, started = datetime.now(UTC), time.monotonic()
    with interruptible(), side_by_side(commit, root) as trees:
        same = unchanged(models, trees) if changed else []
        known = models_in(trees.base)
        judged = [model for model in models if model not in same and model.name in known]
        missing = [model for model in models if model.name not in known]
        planned = cells(judged, scenarios, interpreters=interpreters, left_out=cannot)
        found = verdicts(planned, trees.base, trees.head, allowed_cpus(), rules, said)
    found += [
        Verdict(
            cell=CellKey(scenario.name, scenario.level, model.name, interpreter.name),
            metric=ERRORS,
            outcome=Outcome.NO_BASELINE,
            reason="the base has no such model",
        )
        for model in missing
        for scenario in scenarios
        for interpreter in interpreters
        if (model, interpreter) not in cannot
    ]
    under = ", ".join(each.name for each in interpreters if each.name)
    shape = rules.shape
    return GateReport(
        base=f"{base} ({commit[:12]})",
        head=f"the working tree ({fingerprint()['commit']})",
        started=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - started,
        placement=", ".join(dict.fromkeys(scenario.serving.placement for scenario in scenarios)),
        method=(
            f"side by side, {rules.pairs} pairs of fresh servers in a block, in each {shape.slices}"
            f" pairs of {shape.slice_seconds:g} s slices, seed {rules.seed}"
            + (f", both under {under}" if under else "")
        ),
        machine=fingerprint(),
        verdicts=found,
        left_out={model.name: "none of its files differ from the base" for model in same},
    )
