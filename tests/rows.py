"""The rows of the catalogue that can run under this interpreter: what the contract is shown of.

One that cannot, because its library is missing or this Python too old for it, is left out here as
it is of a run. That no library is missing where CI runs is shown in test_available.py.

Every row is shown to accept, to spread, to answer, to refuse and to stop. What depends on less than
the row is shown once for each file in servers/models/, for each driver or for each family: thirty
rows would be looked at thirty times for what a dozen files do.
"""

from __future__ import annotations

__all__ = [
    "ALL_RUNNABLE",
    "NAMES",
    "ONE_OF_EACH_DRIVER",
    "ONE_OF_EACH_FAMILY",
    "ONE_OF_EACH_FILE",
    "RUNNABLE",
]

import re
from collections.abc import Callable, Hashable
from pathlib import Path

from bench.plan.available import reason_against
from servers.catalog import MODELS, Model

FILES = Path(__file__).parents[1] / "servers" / "models"

ALL_RUNNABLE = [model for model in MODELS if not reason_against(model)]
RUNNABLE = [model for model in ALL_RUNNABLE if model.transport == "tcp"]
NAMES = [model.name for model in RUNNABLE]


def drivers_of(model: Model) -> frozenset[str]:
    """Return the names of the drivers that a model's file imports."""
    text = (FILES / f"{model.module}.py").read_text(encoding="utf-8")
    return frozenset(re.findall(r"servers\.drivers(?: import |\.)(\w+)", text))


def one_of_each(key: Callable[[Model], Hashable]) -> list[str]:
    """Return the name of the first row with each value of `key`."""
    return list({key(model): model.name for model in reversed(RUNNABLE)}.values())[::-1]


ONE_OF_EACH_FILE = one_of_each(lambda model: model.module)
ONE_OF_EACH_DRIVER = one_of_each(drivers_of)
ONE_OF_EACH_FAMILY = one_of_each(lambda model: model.family)
