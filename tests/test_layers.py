"""The imports run one way (DESIGN.md, section 1): this parses every file and holds the arrows."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"bench", "clients", "reports", "servers", "tests"}

ARROWS = {
    "bench": {"bench", "clients", "reports", "servers.catalog"},
    "clients": {"clients", "servers.protocol", "reports.histogram"},
    "reports": {"reports"},
    "servers": {"servers"},
}
"""What the files of a folder may import of ours: a module, or everything in a folder."""

FILES = sorted(path for folder in ARROWS for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of every module and name that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module
            # `from servers import catalog` imports a module, `from clients.load import Load` not;
            # both read as a dotted name that begins with the module meant.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, allowed: str) -> bool:
    return f"{name}.".startswith(f"{allowed}.")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_of_ours_only_what_its_layer_may(path: Path) -> None:
    allowed = ARROWS[path.relative_to(ROOT).parts[0]]
    ours = [name for name in imports(path) if name.split(".")[0] in OURS]
    assert [name for name in ours if not any(within(name, each) for each in allowed)] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "servers").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_servers_need_nothing_but_the_standard_library(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots <= sys.stdlib_module_names | {"servers"}


def test_the_engine_imports_nothing_of_ours_but_its_own_parts() -> None:
    engine = (ROOT / "clients" / "engine" / "_engine.pyx").read_text(encoding="utf-8")
    lines = [line.split() for line in engine.splitlines()]
    roots = {
        words[1].split(".")[0]
        for words in lines
        if words[:1] in (["import"], ["from"], ["cimport"])
    }
    assert not roots & (OURS - {"clients"})


def test_the_arrows_catch_what_they_forbid(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "def f():\n    from servers.models import thread\n    import bench.run.conduct\n"
    )
    assert list(imports(file)) == ["servers.models.thread", "bench.run.conduct"]
    assert not within("servers.models.thread", "servers.catalog")
    assert not within("servers.catalogue", "servers.catalog")
