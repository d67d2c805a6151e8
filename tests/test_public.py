"""A module says in `__all__` what others of ours may import from it; the rest is its own.

Tests may look at what is a module's own: that is what they are for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from servers.catalog import MODELS
from tests.test_layers import FILES, MODULES, module_of

FROZEN = {"bench.gate.reference_load"}
"""What must not change by a letter, see there."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def taken_by(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each module of ours that a file takes a name from, and the name."""
    modules: dict[str, str] = {}  # by what they are called in the file
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            modules |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                name = f"{node.module}.{each.name}"
                if name in MODULES:
                    modules[each.asname or each.name] = name
                elif module_of(node.module) == node.module:
                    yield node.module, each.name
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            name = by_name(node.value) or modules.get(ast.unparse(node.value), "")
            if name in MODULES and f"{name}.{node.attr}" not in MODULES:
                yield name, node.attr


def by_name(node: ast.expr) -> str:
    """Return the name in `import_module("name")`, or nothing if it is something else."""
    match node:
        case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(str(name))]):
            return name
    return ""


@cache
def taken() -> dict[str, set[str]]:
    """Return the names that others take from each module; what begins with _ is nobody's."""
    names: dict[str, set[str]] = {}
    for path in FILES:
        for module, name in taken_by(path):
            if MODULES[module] != path and not name.startswith("_"):
                names.setdefault(module, set()).add(name)
    return names


def public(path: Path) -> set[str]:
    """Return what a module says in `__all__`; nothing if it has none."""
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def defined(path: Path) -> set[str]:
    """Return the names that a module gives a meaning to, be it for mypy only."""
    names = set()
    for node in ast.walk(parsed(path)):
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                names.add(name)
            case ast.Name(name, ast.Store()):
                names.add(name)
            case ast.ImportFrom(names=imported):
                names |= {each.asname or each.name for each in imported}
    return names


def test_what_others_import_from_a_module_it_says_is_public() -> None:
    missing = {
        module: names - public(MODULES[module])
        for module, names in taken().items()
        if module not in FROZEN
    }
    assert {module: names for module, names in missing.items() if names} == {}


def test_what_a_module_says_is_public_exists() -> None:
    missing = {module: public(path) - defined(path) for module, path in MODULES.items()}
    assert {module: names for module, names in missing.items() if names} == {}


def test_a_model_says_that_what_its_row_starts_is_public() -> None:
    for model in MODELS:
        assert model.entry in public(MODULES[f"servers.models.{model.module}"]), model.name


def test_names_are_found_however_they_are_taken() -> None:
    assert "Server" in taken()["bench.measure.launch"]  # from bench.measure.launch import Server
    assert "settle" in taken()["bench.measure.meter"]  # from bench.measure import meter
    assert "die_with_stdin" in taken()["servers.life.parent"]  # import_module
