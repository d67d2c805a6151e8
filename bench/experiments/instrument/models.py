"""Which models an experiment of ours shows: a few, the first of each family, or all."""

from __future__ import annotations

__all__ = ["shown"]

from bench.experiments.lab import Lab
from bench.plan.available import reason_against
from servers.catalog import MODELS, Model

FEW = ("sequential", "threads", "event loop")


def shown(lab: Lab) -> list[Model]:
    """Return the models that can run here and speak TCP, as many as the effort has time for."""
    able = [model for model in MODELS if model.transport == "tcp" and not reason_against(model)]
    first = {model.family: model for model in reversed(able)}
    of_each = [model for model in able if first[model.family] is model]
    few = [model for model in of_each if model.family in FEW]
    return lab.pick(few[:2], few, of_each, able)
