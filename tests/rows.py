"""The rows of the catalogue that can run under this interpreter: what the contract is shown of.

One that cannot, because its library is missing or this Python too old for it, is left out here as
it is of a run. That no library is missing where CI runs is shown in test_available.py.
"""

from __future__ import annotations

__all__ = ["ALL_RUNNABLE", "NAMES", "ONE_OF_EACH_FAMILY", "RUNNABLE"]

from bench.plan.available import reason_against
from servers.catalog import MODELS

ALL_RUNNABLE = [model for model in MODELS if not reason_against(model)]
RUNNABLE = [model for model in ALL_RUNNABLE if model.transport == "tcp"]
NAMES = [model.name for model in RUNNABLE]
ONE_OF_EACH_FAMILY = list({model.family: model.name for model in reversed(RUNNABLE)}.values())
