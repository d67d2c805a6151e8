"""What pytest-benchmark stores with the experiments' figures."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.machine import fingerprint
from reports.record import Sample


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever starts the experiments say which run their figures join."""
    parser.addoption("--run-id", default="", help="the run that the figures join")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Put our fingerprint in place of the plug-in's, which names the host."""
    machine_info.clear()
    machine_info.update(fingerprint())


@pytest.fixture(autouse=True)
def labelled(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> None:
    """Label every figure with its run, our schema and the model."""
    (model,) = request.node.callspec.params.values()
    benchmark.extra_info.update(
        run=request.config.getoption("--run-id"), schema=Sample.SCHEMA, model=model.name
    )
