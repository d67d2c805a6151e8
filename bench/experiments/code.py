"""The measured part of an experiment's file, as a page shows it: without imports and verdict."""

from __future__ import annotations

__all__ = ["measured_part"]

import ast
import inspect
from types import ModuleType


def measured_part(module: ModuleType) -> str:
    """Return the source of a module but for its docstring, its imports and its `judge`."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    body = ast.parse(source).body
    kept = [node for node in body if not _is_frame(node)]
    return "\n\n".join("\n".join(lines[_first(node) - 1 : node.end_lineno]) for node in kept)


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _is_frame(node: ast.stmt) -> bool:
    """Whether a statement is about the file and not about what is measured."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name == "judge"
    if isinstance(node, ast.Assign):
        return any(isinstance(each, ast.Name) and each.id == "__all__" for each in node.targets)
    return False
