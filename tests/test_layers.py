"""The imports run one way (docs/architecture.md): this parses every file and holds the arrows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"bench", "clients", "reports", "servers", "tests"}

ARROWS = {
    "bench": {"bench", "clients", "reports", "servers.catalog"},
    "clients": {"clients", "servers.protocol", "reports.histogram", "reports.untrusted"},
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


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}
Graph = dict[str, set[str]]


def module_of(name: str) -> str:
    """Return the module of ours that a dotted name is, or is in; empty if there is none."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def room_of(module: str) -> str:
    """Return the room of a module; one right under a folder is a room of its own."""
    return ".".join(module.split(".")[:2])


def by_module() -> Graph:
    """Return what each module imports of ours, be it for mypy only or within a function."""
    return {
        module: {module_of(name) for name in imports(path)} - {"", module}
        for module, path in MODULES.items()
    }


def by_room() -> Graph:
    """Return which rooms the modules of a room import from."""
    rooms: Graph = {}
    for module, imported in by_module().items():
        room = room_of(module)
        rooms[room] = rooms.get(room, set()) | {room_of(each) for each in imported} - {room}
    return rooms


def in_circles(graph: Graph) -> set[str]:
    """Return what no order can put after all that it imports: the circles and those above them."""
    left = dict(graph)
    while done := {name for name, imported in left.items() if not imported & left.keys()}:
        for name in done:
            del left[name]
    return set(left)


def test_no_module_imports_in_a_circle() -> None:
    assert in_circles(by_module()) == set()


@pytest.mark.parametrize("folder", ["clients", "reports", "servers"])
def test_no_room_imports_in_a_circle(folder: str) -> None:
    rooms = {room: imported for room, imported in by_room().items() if within(room, folder)}
    assert in_circles(rooms) == set()


def test_a_circle_is_seen() -> None:
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()
    assert in_circles({"a": {"b"}, "b": {"a"}, "c": set()}) == {"a", "b"}
    assert "servers.steps" in by_module()["servers.service"]  # so the graph is not an empty one


OF_THE_SYSTEM = {"socket", "select", "selectors", "signal", "time", "os", "asyncio", "threading"}


@pytest.mark.parametrize("name", ["protocol", "steps", "service"])
def test_what_a_request_means_is_told_without_sockets_signals_and_clocks(name: str) -> None:
    code = f"import sys; import servers.{name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    brought = set(done.stdout.split()) - set(bare.stdout.split())
    assert brought & OF_THE_SYSTEM == set()
    assert not any(each.startswith(("servers.life", "servers.drivers")) for each in brought)


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
