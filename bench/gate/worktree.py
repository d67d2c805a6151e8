"""The two trees that a gate compares: the base's from a commit, the head's from the working tree.

Both are put side by side in a temporary folder, under names of the same length, and compiled
there: what a server process finds in its environment, and what its first start leaves in memory,
is then alike on both sides. The head may be edited while the gate runs.
"""

from __future__ import annotations

__all__ = [
    "NoBaselineError",
    "RevisionError",
    "copy_servers",
    "models_in",
    "resolve",
    "side_by_side",
    "unchanged",
]

import ast
import compileall
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import NothingToCompareError, UserError
from servers.catalog import Model

PACKAGE = "servers"
ENTRY = f"{PACKAGE}.__main__"
CATALOG = f"{PACKAGE}.catalog"
MODELS_OF_A_TREE = "from servers.catalog import names; print(*names())"


class RevisionError(UserError):
    """A base that git does not know; the message is a sentence."""


class NoBaselineError(NothingToCompareError):
    """A base with nothing to compare with; the message is a sentence."""


class Trees(NamedTuple):
    """The two folders that hold a `servers` package."""

    base: Path
    head: Path


def resolve(revision: str, project: Path) -> str:
    """Return the commit that a revision names; RevisionError when it names none."""
    found = _git(
        project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if found.returncode:
        raise RevisionError(
            f"git knows no revision {revision!r} here; a shallow clone has to fetch it first"
        )
    return found.stdout.strip()


@contextlib.contextmanager
def side_by_side(commit: str, project: Path) -> Iterator[Trees]:
    """Give the two trees; NoBaselineError when the commit has no servers."""
    with tempfile.TemporaryDirectory(prefix="threadmill-gate-") as folder:
        trees = Trees(Path(folder, "base"), Path(folder, "head"))
        with _worktree(commit, trees.base, project):
            if not (trees.base / PACKAGE).is_dir():
                raise NoBaselineError(f"{commit[:12]} has no folder {PACKAGE}/ to compare with")
            copy_servers(project, trees.head)
            for tree in trees:
                compileall.compile_dir(tree / PACKAGE, quiet=2)
            yield trees


def copy_servers(project: Path, into: Path) -> None:
    """Copy the `servers` package of a tree, without what was compiled of it."""
    shutil.copytree(project / PACKAGE, into / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))


@contextlib.contextmanager
def _worktree(commit: str, path: Path, project: Path) -> Iterator[None]:
    added = _git(project, "worktree", "add", "--detach", "--quiet", str(path), commit)
    if added.returncode:
        raise RevisionError(f"git cannot check out {commit[:12]}: {added.stderr.strip()}")
    try:
        yield
    finally:
        _git(project, "worktree", "remove", "--force", str(path))


def _git(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    git = ["git", "-C", str(project), *words]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RevisionError("git is not installed") from error


def models_in(tree: Path) -> set[str]:
    """Return the names of the models that a tree has; NoBaselineError when it cannot tell."""
    asked = subprocess.run(
        [sys.executable, "-S", "-c", MODELS_OF_A_TREE],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoBaselineError(f"the base cannot list its models: {last}")
    return set(asked.stdout.split())


def unchanged(models: Sequence[Model], trees: Trees) -> list[Model]:
    """Return the models none of whose files differ between the trees.

    A model's files are its own and all that it, or the program that starts it, imports of ours. Of
    the catalogue only its own row counts, and the code around the rows.
    """
    return [model for model in models if not _differs(model, trees)]


def _differs(model: Model, trees: Trees) -> bool:
    roots = (ENTRY, f"{PACKAGE}.models.{model.module}")
    base, head = (
        {name: _part(tree, name, model.name) for name in imported(tree, roots)} for tree in trees
    )
    return base != head


def _part(tree: Path, name: str, model: str) -> str:
    """Return what a module has to do with a model: all of it, but of the catalogue's rows its own.

    The first argument of a row is the name, as the row's definition has it.
    """
    text = _text(tree, name)
    if name != CATALOG:
        return text
    kept = ast.parse(text)
    for statement in kept.body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "MODELS":
            assert isinstance(statement.value, ast.Tuple)  # noqa: S101  # it is a table
            statement.value.elts = [
                row
                for row in statement.value.elts
                if ast.unparse(row.args[0]) == repr(model)  # type: ignore[attr-defined]  # a row is a call
            ]
    return ast.unparse(kept)


def imported(tree: Path, roots: Sequence[str]) -> set[str]:
    """Return the dotted names of the modules of ours that `roots` import, and themselves."""
    found: set[str] = set()
    unvisited = list(roots)
    while unvisited:
        name = unvisited.pop()
        if name in found or not name.startswith(PACKAGE) or not _path(tree, name).exists():
            continue
        found.add(name)
        parents = name.rpartition(".")[0]
        unvisited += [parents, *_imports(_text(tree, name))]
    return found


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # What is imported from a package may be one of its modules.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module":
            yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


def _path(tree: Path, name: str) -> Path:
    path = tree.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _text(tree: Path, name: str) -> str:
    return _path(tree, name).read_text(encoding="utf-8")
