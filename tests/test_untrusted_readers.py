"""Any JSON through the readers of histories, baselines and settings: no exception but their own."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given

from bench.gate import stored
from bench.gate.config import ConfigError, parse
from bench.gate.config import read as read_settings
from bench.plan.precision import QuantityError
from reports.gate.allowances import AllowanceError
from reports.store import StoreError
from reports.trend import history
from tests.hostile import ANY_JSON
from tests.runs import standard_run
from tests.test_baseline import a_run

ROOT = Path(__file__).parents[1]
ENTRY = history.entry_of(*standard_run(2, ("echo",))).to_json()


@given(ANY_JSON)
def test_any_json_is_a_history_or_a_sentence(value: Any) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "history.jsonl")
        for line in (value, ENTRY | {"cells": value}, {**ENTRY, "machine": value}):
            file.write_text(json.dumps(line) + "\n")
            with contextlib.suppress(StoreError):
                entries, _ = history.read(file)
                history.trends(entries, list(history.TREND_METRICS))


@given(ANY_JSON)
def test_any_json_is_a_baseline_or_a_sentence(value: Any) -> None:
    run = a_run().to_json()
    with TemporaryDirectory() as folder:
        for line in (value, *({**run, name: value} for name in ("cells", "shape", "reference_us"))):
            Path(folder, "laptop.jsonl").write_text(json.dumps(line) + "\n")
            with contextlib.suppress(StoreError):
                stored.read("laptop", Path(folder))


@pytest.mark.parametrize("value", [0.0, -1.0, 1e300])
def test_a_baselines_figure_of_which_no_logarithm_can_be_taken_is_named(
    tmp_path: Path, value: float
) -> None:
    run = dataclasses.replace(a_run(), reference_us=[value])
    (tmp_path / "laptop.jsonl").write_text(json.dumps(run.to_json()) + "\n")
    with pytest.raises(StoreError, match="reference_us is "):
        stored.read("laptop", tmp_path)


def test_a_baseline_that_is_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "laptop.jsonl")
    with pytest.raises(StoreError, match="no regular file"):
        stored.read("laptop", tmp_path)


@given(ANY_JSON)
def test_any_settings_are_taken_or_refused_in_a_sentence(value: Any) -> None:
    for table in (value, {"allow": value}, {"threshold": value}, {"scenario": {"echo": value}}):
        with contextlib.suppress(ConfigError, QuantityError, AllowanceError):
            parse(table)


@pytest.mark.parametrize(
    "text", ["tool = 3", "[tool]\nthreadmill = 3", "a = " + "[" * 5_000, "\xff", "[[tool]]"]
)
def test_a_pyproject_of_another_kind_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        read_settings(path)


@pytest.mark.parametrize("folder", ["bench", "clients", "reports"])
def test_no_duration_comes_from_a_clock_that_can_be_set(folder: str) -> None:
    """Only `datetime` tells the time of day, for labels; durations are `time.monotonic`'s."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("time", "time"), ("time", "time_ns")}, (
                    path
                )
