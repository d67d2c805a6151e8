"""The rows of the catalogue hold together, and each leads to a function that takes what it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import servers.models
from servers.catalog import FAMILIES, MODELS, Model

FILES = Path(servers.models.__file__).parent


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_row_says_only_what_there_is_to_say(model: Model) -> None:
    assert model.family in FAMILIES
    assert model.transport in {"tcp", "udp"}
    assert model.unit in {"connection", "request"}
    assert model.serves in {"one", "workers", "many", "dealt"}
    assert model.when_full in {"busy", "backlog", "drop"}
    assert model.name.replace("-", "").isalnum()
    assert model.title.endswith(".")
    if model.serves in {"workers", "dealt"}:
        assert model.workers


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_row_leads_to_a_function_that_takes_its_options(model: Model) -> None:
    # Read, not imported: what the model needs may not be installed.
    tree = ast.parse((FILES / f"{model.module}.py").read_text(encoding="utf-8"))
    [entry] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == model.entry
    ]
    taken = [argument.arg for argument in (*entry.args.args, *entry.args.kwonlyargs)]
    assert taken[:3] == ["listener", "service", "ready"]
    given = {*dict(model.options), *(["workers"] if model.workers else [])}
    required = set(taken[3 : len(entry.args.args) - len(entry.args.defaults)])
    assert required <= given <= set(taken[3:])


def test_the_names_of_the_models_differ() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
