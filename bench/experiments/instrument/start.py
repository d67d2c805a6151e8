"""start: what a server takes from the start of its process to its first answer.

A command that is run once, a function that is started for one event: there the start is all of the
latency. Every round starts a fresh process; its end is not timed.
"""

from __future__ import annotations

from bench.experiments.figures import Found, ratio
from bench.experiments.instrument.models import shown
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_least
from bench.measure.launch import Server
from bench.measure.placement import allowed_cpus
from reports.serving import Serving


def measure(lab: Lab) -> None:
    """Start each model afresh, in turns, so that a machine that drifts slows all of them."""
    models = shown(lab)
    taken: dict[str, list[float]] = {model.name: [] for model in models}
    for _ in range(lab.rounds):
        for model in models:
            workers = min(model.workers, 4)  # 64 processes would be what is measured
            with Server(model, Serving(workers=workers), cpus=allowed_cpus()) as server:
                server.wait_until_answering()
                taken[model.name].append(server.first_answer_seconds)
    for name, seconds in taken.items():
        lab.report(name, "to the first answer", "s", seconds)


def judge(found: Found) -> Verdict:
    """No model is surely faster than the sequential one by more than a tenth."""
    serial = found.of("serial")
    others = [row for row in found.cases() if row.case != "serial"] or [serial]
    least = min(others, key=lambda row: row.value)
    return at_least(
        ratio(least, serial), 0.9, f"the fastest other, {least.case}, takes {{}} of serial's start"
    )
