"""Thresholds of a project's own: what they change, and that a misspelt one is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.gate.config import ConfigError, parse, read
from bench.plan.precision import QuantityError
from reports.gate.effects import Limit
from reports.gate.verdicts import LIMITS


def test_without_settings_everything_is_as_usual(tmp_path: Path) -> None:
    assert read(tmp_path / "pyproject.toml").limits_of("echo") == LIMITS
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read(tmp_path / "pyproject.toml").limits_of("echo") == LIMITS


def test_settings_are_read_from_the_projects_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        "[tool.threadmill.gate]\n"
        "allow = ['thread/echo/cpu until 2027-01-31: why']\n"
        "[tool.threadmill.gate.threshold]\ncpu = '3%'\n"
        "[tool.threadmill.gate.scenario.churn.threshold]\ncpu = '8%'\n"
        "[tool.threadmill.gate.scenario.churn.guard]\ncpu = '20%'\n"
    )
    config = read(file)
    assert config.limits_of("echo")["cpu"] == Limit(0.03, LIMITS["cpu"].guard)
    assert config.limits_of("churn")["cpu"] == Limit(0.08, 0.20)
    assert config.limits_of("churn")["p50"] == LIMITS["p50"]
    assert [allowance.why for allowance in config.allowances] == ["why"]


@pytest.mark.parametrize(
    "table",
    [
        {"treshold": {"cpu": "5%"}},
        {"threshold": {"cpus": "5%"}},
        {"threshold": "5%"},
        {"scenario": {"ecko": {}}},
        {"scenario": {"echo": {"cpu": "5%"}}},
    ],
)
def test_a_key_that_means_nothing_is_an_error(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"tool\.threadmill\.gate"):
        parse(table)


def test_a_threshold_is_a_percentage() -> None:
    with pytest.raises(QuantityError, match="5%"):
        parse({"threshold": {"cpu": 0.05}})


def test_a_file_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[[[")
    with pytest.raises(ConfigError, match="no TOML"):
        read(tmp_path / "pyproject.toml")
