"""Where findings go: `reports/findings/<id>/`, each as soon as it is known, then the page."""

from __future__ import annotations

__all__ = ["FindingsFolder", "benchmark_json"]

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.measure.machine import fingerprint
from reports.experiments.record import FILE, Finding
from reports.files import replace_whole
from reports.store import append_whole, disk_errors


class FindingsFolder:
    """The folder of one session of experiments; made when the first finding is there."""

    def __init__(self, root: Path, effort: str) -> None:
        self._root = root
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{effort}"
        self.path: Path | None = None
        self.findings: list[Finding] = []
        self.benchmarks: list[dict[str, Any]] = []

    def prepare(self) -> None:
        """Make sure that there can be findings; StoreError."""
        with disk_errors(f"keep findings in {self._root}"):
            self._root.mkdir(parents=True, exist_ok=True)

    def keep(self, finding: Finding, benchmarks: Sequence[dict[str, Any]]) -> None:
        """Store a finding, and return once it is on the disk."""
        text = json.dumps(finding.to_json(), allow_nan=False, separators=(",", ":")) + "\n"
        with disk_errors(f"store a finding in {self._root}"):
            append_whole(self._made() / FILE, text.encode())
        self.findings.append(finding)
        self.benchmarks += benchmarks

    def publish(self) -> Path | None:
        """Write the page and pytest-benchmark's JSON; None where nothing was found."""
        from reports.experiments.page import page  # matplotlib takes a second

        if self.path is None:
            return None
        html = self.path / "experiments.html"
        with disk_errors(f"write the page into {self.path}"):
            if self.benchmarks:
                replace_whole(self.path / "benchmark.json", benchmark_json(self.benchmarks))
            replace_whole(html, page(self.findings))
        return html

    def _made(self) -> Path:
        if self.path is None:
            for number in itertools.count(1):
                path = self._root / (f"{self._name}-{number}" if number > 1 else self._name)
                try:
                    path.mkdir()
                except FileExistsError:  # of another that began in the same second
                    continue
                self.path = path
                break
        assert self.path is not None
        return self.path


def benchmark_json(benchmarks: Sequence[dict[str, Any]]) -> str:
    """Return pytest-benchmark's JSON of these entries, with our fingerprint for the machine."""
    return json.dumps(
        {
            "machine_info": fingerprint(),
            "commit_info": {"id": fingerprint()["commit"]},
            "benchmarks": benchmarks,
            "datetime": datetime.now(UTC).isoformat(),
            "version": metadata.version("pytest-benchmark"),
        },
        indent=1,
    )
