"""Every experiment runs to its end, with the smallest effort."""

from __future__ import annotations

import pytest

from bench.experiments.conduct import Asked, run_one
from bench.experiments.registry import EXPERIMENTS
from bench.experiments.row import Experiment

SURE = {"empty", "sticky", "udp-edges", "isolation", "producers", "fault-soak"}
"""Their claims are about what happens and not about how long it takes: they hold on any machine."""


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: str(each.name))
def test_an_experiment_comes_to_its_end_with_figures(experiment: Experiment) -> None:
    found, _ = run_one(experiment, Asked("least"), lambda _: None)
    assert found.failure == ""
    assert found.rows
    assert all(row.low <= row.value <= row.high for row in found.rows)
    assert "def measure(lab" in found.code
    if experiment.name in SURE:
        assert found.verdict == "holds", found.because
