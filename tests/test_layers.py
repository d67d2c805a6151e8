"""The imports run one way (docs/architecture.md): this parses every file and holds the arrows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from servers.catalog import MODELS, Model

ROOT = Path(__file__).parents[1]
OURS = {"bench", "clients", "reports", "servers", "tests"}

ARROWS = {
    "bench": {"bench", "clients", "reports", "servers.catalog"},
    "clients": {
        "clients",
        "servers.protocol",
        "reports.histogram",
        "reports.load",
        "reports.tally",
        "reports.untrusted",
    },
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


def needs(path: Path, models: Sequence[Model] = MODELS) -> set[str]:
    """Return what a file may import beside the standard library: what the rows over it need."""
    if path.parent != ROOT / "servers" / "models":
        return set()
    rows = (model for model in models if model.module == path.stem)
    return {name.lower().replace("-", "_") for row in rows for name in row.needs}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "servers").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_servers_need_nothing_but_the_standard_library_and_what_their_row_says(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots <= sys.stdlib_module_names | {"servers"} | needs(path)


def test_what_a_row_needs_is_its_own_file_s_to_import() -> None:
    rows = [MODELS[0]._replace(module="thread", needs=("Some-thing",)), *MODELS]
    assert needs(ROOT / "servers" / "models" / "thread.py", rows) == {"some_thing"}
    assert needs(ROOT / "servers" / "models" / "process.py", rows) == set()
    assert needs(ROOT / "servers" / "life" / "thread.py", rows) == set()


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


ROOMS: Graph = {
    "servers": set(),
    "servers.life": {"servers"},
    "servers.service": {"servers", "servers.life"},  # which only mypy is told
    "servers.drivers": {"servers", "servers.life", "servers.service"},
    "servers.models": {"servers", "servers.life", "servers.service", "servers.drivers"},
    "servers.usage": {"servers", "servers.life", "servers.service"},
    "servers.__main__": {"servers", "servers.life", "servers.service", "servers.usage"},
    "clients": set(),
    "clients.engine": {"clients"},
    "clients.targets": {"clients", "clients.engine"},
    "clients.transfer": {"clients"},
    "clients.__main__": {"clients", "clients.engine", "clients.transfer"},
    "reports": set(),
    "reports.cells": {"reports"},
    "reports.studies": {"reports", "reports.cells"},
    "reports.charts": {"reports", "reports.cells", "reports.studies"},
    "reports.experiments": {"reports", "reports.charts"},
    "reports.gate": {"reports"},
    "reports.gate.render": {"reports", "reports.gate"},
    "reports.page": {"reports", "reports.cells", "reports.studies", "reports.charts"},
    "reports.trend": {"reports", "reports.cells", "reports.charts", "reports.gate"},
    "reports.shelf": {
        "reports",
        "reports.cells",
        "reports.charts",
        "reports.gate",
        "reports.page",
        "reports.trend",
    },
    "bench": set(),
    "bench.interpreters": {"bench"},
    "bench.plan": {"bench", "bench.interpreters"},
    "bench.measure": {"bench", "bench.plan", "bench.interpreters"},
    "bench.across": {"bench", "bench.plan", "bench.measure"},
    "bench.run": {"bench", "bench.plan", "bench.measure", "bench.interpreters"},
    "bench.cluster": {
        "bench",
        "bench.across",
        "bench.interpreters",
        "bench.plan",
        "bench.measure",
        "bench.run",
    },
    "bench.gate": {"bench", "bench.plan", "bench.measure", "bench.run", "bench.interpreters"},
    "bench.capacity": {"bench", "bench.plan", "bench.measure", "bench.run"},
    "bench.check": {"bench", "bench.plan", "bench.measure", "bench.run"},
    "bench.experiments": {"bench", "bench.plan", "bench.measure", "bench.interpreters"},
    "bench.experiments.sockets": {"bench.experiments"},
    "bench.experiments.processes": {"bench.experiments"},
    "bench.experiments.sharing": {"bench.experiments"},
    "bench.experiments.threads": {"bench.experiments", "bench.interpreters"},
    "bench.experiments.switching": {"bench.experiments"},
    "bench.experiments.instrument": {"bench", "bench.plan", "bench.measure", "bench.experiments"},
    "bench.verbs": {
        "bench",
        "bench.cluster",
        "bench.interpreters",
        "bench.plan",
        "bench.measure",
        "bench.across",
        "bench.run",
        "bench.gate",
        "bench.capacity",
        "bench.check",
        "bench.experiments",
    },
    "bench.__main__": {"bench", "bench.plan", "bench.measure", "bench.gate", "bench.verbs"},
}
"""What a room may import of its own folder. A row with a folder's name is for the modules right
under it; one of them that imports from rooms is a room of its own."""


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    while module not in ROOMS:
        module = module.rpartition(".")[0]
    return module


@cache
def by_module() -> Graph:
    """Return what each module imports of ours, be it for mypy only or within a function."""
    return {
        module: {module_of(name) for name in imports(path)} - {"", module}
        for module, path in MODULES.items()
    }


@cache
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


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_that_it_may(room: str) -> None:
    folder = room.split(".")[0]
    assert {each for each in by_room()[room] if within(each, folder)} <= ROOMS[room]


def test_the_table_of_rooms_has_every_folder_and_no_circle() -> None:
    folders = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert folders <= ROOMS.keys()
    assert in_circles(ROOMS) == set()


def test_a_circle_is_seen() -> None:
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()
    assert in_circles({"a": {"b"}, "b": {"a"}, "c": set()}) == {"a", "b"}
    # So the graphs are not empty ones.
    assert "servers.steps" in by_module()["servers.service"]
    assert "servers.life" in by_room()["servers.drivers"]


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
