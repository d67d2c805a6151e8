"""What pytest-benchmark stores with the experiments' figures."""

from __future__ import annotations

from typing import Any

from bench.machine import fingerprint


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Put our fingerprint in place of the plug-in's, which names the host."""
    machine_info.clear()
    machine_info.update(fingerprint())
