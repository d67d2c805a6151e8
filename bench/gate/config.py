"""`[tool.threadmill.gate]` in pyproject.toml: thresholds, guards, and what is allowed.

    [tool.threadmill.gate]
    allow = ["thread/echo/cpu until 2027-01-31: why"]

    [tool.threadmill.gate.threshold]
    cpu = "5%"

    [tool.threadmill.gate.guard]
    throughput = "15%"

    [tool.threadmill.gate.scenario.churn.threshold]
    cpu = "8%"

Whatever is not said there is as in GATE_METRICS of `reports.gate.verdicts`. A key that means
nothing is an error: a threshold that is never applied would be worse than none.
"""

from __future__ import annotations

__all__ = ["ConfigError", "read"]

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.plan.precision import share
from bench.plan.scenarios import DATAGRAMS, SCENARIOS
from reports.files import read_regular
from reports.gate.allowances import Allowance
from reports.gate.effects import Limit
from reports.gate.verdicts import LIMITS
from reports.untrusted import UntrustedError, fits, quoted

KINDS = Limit._fields  # threshold, guard


class ConfigError(UserError):
    """A setting that cannot be; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What a project has set for its gate."""

    limits: Mapping[str, Mapping[str, Limit]] = field(default_factory=dict)  # by scenario
    everywhere: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)
    allowances: tuple[Allowance, ...] = ()

    def limits_of(self, scenario: str) -> Mapping[str, Limit]:
        """Return the limits of every metric under a scenario."""
        return self.limits.get(scenario, self.everywhere)


def read(path: Path) -> GateConfig:
    """Read the settings from a pyproject.toml; the usual ones where there is none.

    ConfigError, QuantityError or AllowanceError when one cannot be.
    """
    if not path.exists():
        return GateConfig()
    try:
        settings: object = tomllib.loads(read_regular(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, UntrustedError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep") from None
    where: list[str] = []
    for name in ("tool", "threadmill", "gate"):
        if not isinstance(settings, Mapping):
            raise ConfigError(f"[{'.'.join(where)}] is a table, not {quoted(settings)}")
        settings = settings.get(name, {})
        where.append(name)
    return parse(settings)


def parse(table: object) -> GateConfig:
    """Return the settings in the table `[tool.threadmill.gate]`."""
    table = _only(table, {"allow", "scenario", *KINDS}, "tool.threadmill.gate")
    everywhere = _limits(table, LIMITS, "tool.threadmill.gate")
    scenarios = _only(
        table.get("scenario", {}), {**SCENARIOS, **DATAGRAMS}, "tool.threadmill.gate.scenario"
    )
    limits = {}
    for name, own in scenarios.items():
        where = f"tool.threadmill.gate.scenario.{name}"
        _only(own, KINDS, where)
        limits[name] = _limits(own, everywhere, where)
    allowed = table.get("allow", [])
    if not fits(allowed, list[str]):
        raise ConfigError(f"allow is {quoted(allowed)}, and must be a list of texts")
    allowances = tuple(map(Allowance.parse, allowed))
    return GateConfig(limits, everywhere, allowances)


def _limits(
    table: Mapping[str, Any], usual: Mapping[str, Limit], where: str
) -> Mapping[str, Limit]:
    limits = dict(usual)
    for kind in KINDS:
        own = table.get(kind, {})
        _only(own, limits, f"{where}.{kind}")
        for metric, text in own.items():
            limits[metric] = limits[metric]._replace(**{kind: share(str(text))})
    return limits


def _only(table: object, known: Any, where: str) -> Mapping[str, Any]:
    """Return a table that has only known keys."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{where}] is a table, not {quoted(table)}")
    for name in table:
        if name not in known:
            names = ", ".join(sorted(known))
            raise ConfigError(f"[{where}] has no {quoted(name)}; there are {names}")
    return table
