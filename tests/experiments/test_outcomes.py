"""Every verdict rule was seen to come to every outcome that it can come to."""

from __future__ import annotations

from bench.experiments.registry import EXPERIMENTS
from tests.experiments import test_verdicts_concurrency, test_verdicts_network, test_verdicts_ours

COUNTED = {"empty", "udp-edges", "isolation", "zombies", "pools", "fault-soak"}
"""Their rules only count: what is counted is so or is not."""


def test_every_rule_comes_to_all_of_its_outcomes() -> None:
    seen: dict[str, set[str]] = {}
    for module in (test_verdicts_network, test_verdicts_concurrency, test_verdicts_ours):
        for case in module.CASES:
            name, _, expected = case.values
            seen.setdefault(name, set()).add(expected)
    every, of_counts = {"holds", "refuted", "untold"}, {"holds", "refuted"}
    assert seen == {row.name: of_counts if row.name in COUNTED else every for row in EXPERIMENTS}
