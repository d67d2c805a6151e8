"""The documentation: what it links to exists, and what it lists is what there is.

`docs/wire.md` and `docs/method.md` are norms, so their tables are held against the code.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import bench.__main__  # noqa: F401  # every verb is known once this is imported
from bench.plan.scenarios import PROFILES, SCENARIOS
from bench.verbs.common import app
from clients.load import ERROR_KINDS
from servers import protocol, service
from servers.catalog import FAMILIES, MODELS
from servers.protocol import ProtocolError, RequestError
from tests.golden import DATAGRAMS, EXCHANGES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FOLDERS = ("bench", "clients", "reports", "servers", "tests")
SOURCES = sorted(
    path
    for pattern in ("*.py", "*.pyx", "*.pxd", "*.pxi", "*.pyi", "*.j2", "*.txt")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob(pattern)
    if "runs" not in path.parts
)
CITATION = re.compile(r'\b(docs/[\w-]+\.md)(?:,\s+"([^"]+)")?')


def section(page: str, heading: str) -> str:
    """Return what stands under a heading of a page in `docs`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(
        rf"^## {re.escape(heading)}\b.*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no section {heading!r}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without their heads."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def cited(path: Path) -> set[tuple[str, str]]:
    """Return the pages, and the sections of them, that a file points to."""
    # In a comment or a docstring a citation may go over the end of a line.
    text = re.sub(r"\s*\n[ #*]*", " ", path.read_text(encoding="utf-8"))
    return set(CITATION.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_lists_every_model_with_its_family_and_its_file() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([a-z ]+) \| .* \| (\[`.*) \|$", readme, flags=re.MULTILINE)
    assert [
        (family, re.findall(r"\[`([a-z-]+)`\]\(servers/models/(\w+)\.py\)", cell))
        for family, cell in table
    ] == [
        (family, [(model.name, model.module) for model in MODELS if model.family == family])
        for family in FAMILIES
        if any(model.family == family for model in MODELS)
    ]


def test_the_picture_in_the_readme_is_a_modest_png_that_is_described() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [(described, target)] = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", readme)
    picture = (ROOT / target).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") == 1280  # its width: that of the page at a desk
    assert len(picture) < 200_000
    assert len(described.split()) > 5


def test_the_readme_explains_the_words_that_its_figures_need() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = ("scenario", "trial", "block", "placement", "pool size", "null server", "disturbed")
    assert [word for word in words if f"*{word}*" not in readme.lower()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_ours_stands_as_it_must_be_typed(page: Path) -> None:
    """Only `.venv` has it, so a bare `threadmill` is not found; its verbs and options are real."""
    # What has changed is history, and says what it was called then.
    if page.name == "CHANGELOG.md":
        return
    text = page.read_text(encoding="utf-8")
    verbs = "|".join(sorted(command_line().commands, key=len, reverse=True))
    assert re.findall(rf"(?<!\.venv/bin/)\bthreadmill (?:{verbs})\b", text) == []
    bare = r"(?<!\.venv/bin/)\bpython3? -m (?:bench|clients|servers)(?![.\w]).*"
    assert re.findall(bare, text) == []
    for typed in re.findall(r"\.venv/bin/threadmill ([^`#\n]*)", text):
        assert unknown_to_the_command_line(typed.split()) == [], typed


@cache
def command_line() -> Any:
    """Return the group of all verbs; its class is of typer's own copy of click."""
    return typer.main.get_command(app)


def unknown_to_the_command_line(words: list[str]) -> list[str]:
    """Return the verb, or the options of it, that the command line does not have."""
    command = command_line()
    rest = list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            return [rest[0]]
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"^\$ make ([a-z-]+)", page.read_text("utf-8"), flags=re.MULTILINE))
        assert named <= targets, page.name


def test_make_takes_each_of_its_variables_and_tells_a_misspelt_one() -> None:
    variables = re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert "PYTHONS" in variables
    help_of_make = [shutil.which("make") or "make", "help"]
    given = [f"{variable}=x" for variable in variables]
    assert subprocess.run([*help_of_make, *given], cwd=ROOT, capture_output=True).returncode == 0
    misspelt = subprocess.run(
        [*help_of_make, "PROFIL=quick"], cwd=ROOT, capture_output=True, text=True
    )
    assert misspelt.returncode != 0
    assert "unknown variable PROFIL" in misspelt.stderr


# What the code cites.


def test_every_page_and_section_that_the_code_cites_exists() -> None:
    found = {(path, *citation) for path in SOURCES for citation in cited(path)}
    pages = {page for _, page, _ in found}
    assert {"docs/wire.md", "docs/method.md"} <= pages  # so the search does find citations
    assert [page for page in pages if not (ROOT / page).exists()] == []
    for _, page, heading in found:
        if heading:
            section(page.removeprefix("docs/"), heading)


def test_nothing_cites_a_norm_that_is_not_in_the_repository() -> None:
    outside = re.compile(r"\b(?:WIRE|MEASURE|DESIGN)\.[m]d")
    assert [path for path in SOURCES if outside.search(path.read_text(encoding="utf-8"))] == []


def test_every_file_of_ours_that_a_page_names_exists() -> None:
    for page in PAGES:
        named = re.findall(
            rf"`((?:{'|'.join(FOLDERS)}|docs)/[\w/.-]+\.\w+)`", page.read_text("utf-8")
        )
        assert [name for name in named if not (ROOT / name).exists()] == [], page.name


# The wire.


def test_the_kinds_of_the_wire_are_those_of_the_code() -> None:
    kinds = {
        name: (int(kind), answer) for kind, name, _, answer in rows(section("wire.md", "Kinds"))
    }
    for name, (kind, answer) in kinds.items():
        assert getattr(protocol, name) == kind
        if number := re.match(r"\d+", answer):
            assert int(number[0]) == kind + protocol.ANSWER
    handled = {
        kind for kind, handler in enumerate(service.HANDLERS) if handler != service.Session._unknown
    }
    assert {kind for kind, _ in kinds.values()} == handled - {protocol.FAULT} | {protocol.ERROR}


def test_the_errors_of_the_wire_are_those_of_the_code() -> None:
    def family(parent: type[ProtocolError]) -> Iterator[type[ProtocolError]]:
        for child in parent.__subclasses__():
            yield child
            yield from family(child)

    in_the_code = {
        (error.code, f"`{error.__name__}`", goes_on(error))
        for error in family(ProtocolError)
        if hasattr(error, "code") and error.__module__ == protocol.__name__
    }
    errors = list(rows(section("wire.md", "Errors")))
    codes = [int(code) for code, *_ in errors]
    assert sorted(set(codes)) == list(range(1, max(codes) + 1))
    assert codes == sorted(codes)
    on_the_page = {(int(code), raised, then) for code, _, _, raised, then in errors if raised}
    assert on_the_page == in_the_code


def goes_on(error: type[ProtocolError]) -> str:
    request = issubclass(error, RequestError)
    return "the connection goes on" if request else "the server closes"


def test_the_limits_of_the_wire_are_those_of_the_code() -> None:
    limits = list(rows(section("wire.md", "Limits")))
    assert limits
    for _, most, where, _ in limits:
        assert value_of(where.strip("`")) == int(most.split()[0].replace(",", ""))


def value_of(where: str) -> float:
    """Return the constant that a page calls `NAME` or `NAME[KEY]`, wherever in servers it is."""
    name, key = re.fullmatch(r"(\w+)(?:\[(\w+)\])?", where).groups()  # type: ignore[union-attr]  # it is the page's form
    [module] = {module for module in server_modules() if name in assigned(module)}
    value = getattr(import_module(module), name)
    return float(value[getattr(protocol, key)] if key else value)


def server_modules() -> Iterator[str]:
    for path in (ROOT / "servers").rglob("*.py"):
        if path.stem != "__main__":
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def assigned(module: str) -> set[str]:
    """Return the names that a module gives values to."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return {
        target.id
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_the_golden_bytes_of_the_wire_are_those_of_the_tests() -> None:
    on_the_page = [
        (what, request.strip("`"), answer.strip("`"), extent)
        for what, request, answer, extent in rows(section("wire.md", "Golden bytes"))
    ]
    assert on_the_page == [tuple(exchange) for exchange in EXCHANGES]


def test_the_golden_datagrams_of_the_wire_are_those_of_the_tests() -> None:
    on_the_page = [
        (what, request.strip("`"), answer.strip("`"), extent)
        for what, request, answer, extent in rows(section("wire.md", "Golden datagrams"))
    ]
    assert on_the_page == [tuple(exchange) for exchange in DATAGRAMS]


# What a server opens.


def test_every_sentence_of_the_security_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    sentences = re.findall(r"^- .*$", page, re.MULTILINE)
    assert len(sentences) == page.count("\n- ") > 0
    for sentence in sentences:
        named = re.findall(r"`(tests/\w+\.py)::(\w+)`", sentence)
        assert named, sentence
        for path, name in named:
            assert name in functions(ROOT / path), f"{path} has no {name}"


def functions(path: Path) -> set[str]:
    """Return the names of the functions that a module has."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


# The method.


def test_the_scenarios_of_the_method_are_those_of_the_code() -> None:
    tables = list(rows(section("method.md", "Scenarios")))
    assert [row for row in tables if row[0] in SCENARIOS] == [
        [row.name, row.level, row.serving.placement, row.shows] for row in SCENARIOS.values()
    ]
    assert [row for row in tables if row[0] in PROFILES] == [
        [
            row.name,
            str(row.blocks),
            *(f"{s:g} s" for s in (row.window_seconds, row.warm_up_seconds, row.drain_seconds)),
        ]
        for row in PROFILES.values()
    ]


def test_the_errors_of_the_method_are_those_of_the_code() -> None:
    named = re.search(r"\*\*Errors\*\*.*?They", section("method.md", "What counts"), re.DOTALL)
    assert named
    assert list(re.findall(r"`(\w+)`", named[0])) == list(ERROR_KINDS)
