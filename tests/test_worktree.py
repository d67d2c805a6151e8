"""The two trees of a gate: where they come from, which models differ, and that nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gate.worktree import (
    NoBaselineError,
    RevisionError,
    Trees,
    copy_servers,
    imported,
    models_in,
    resolve,
    side_by_side,
    unchanged,
)
from servers.catalog import MODELS, find
from tests.conftest import ROOT
from tests.projects import edit, git, make_project, needs_git

pytestmark = needs_git


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


def test_a_revision_is_resolved_to_its_commit(project: Path) -> None:
    assert resolve("main", project) == git(project, "rev-parse", "HEAD")


@pytest.mark.parametrize("revision", ["nothing", "", "--help", "HEAD~9"])
def test_a_revision_that_git_does_not_know_is_one_sentence(project: Path, revision: str) -> None:
    with pytest.raises(RevisionError, match="knows no revision"):
        resolve(revision, project)


def test_the_base_is_as_committed_and_the_head_as_it_lies_there(project: Path) -> None:
    edit(project, "models/thread.py")
    try:
        with side_by_side(resolve("HEAD", project), project) as trees:
            thread = Path("servers", "models", "thread.py")
            assert "another line" not in (trees.base / thread).read_text()
            assert "another line" in (trees.head / thread).read_text()
            assert models_in(trees.base) == {model.name for model in MODELS}
            # Paths of one length: they are in the environment of every server process.
            assert len(str(trees.base)) == len(str(trees.head))
    finally:
        git(project, "checkout", "--quiet", "servers")
    assert not trees.base.exists()
    assert git(project, "worktree", "list").count("\n") == 0
    assert git(project, "status", "--porcelain") == ""


def test_nothing_stays_when_something_goes_wrong(project: Path) -> None:
    with pytest.raises(ZeroDivisionError), side_by_side(resolve("HEAD", project), project) as trees:
        raise ZeroDivisionError
    assert not trees.base.exists()
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_commit_without_servers_is_no_baseline(project: Path) -> None:
    with (
        pytest.raises(NoBaselineError, match="no folder servers"),
        side_by_side(resolve("HEAD~1", project), project),
    ):
        pytest.fail("there is nothing to compare with")


def test_a_base_that_cannot_even_list_its_models_is_none(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "catalog.py").write_text("raise RuntimeError('an old fault')\n")
    with pytest.raises(NoBaselineError, match="an old fault"):
        models_in(tmp_path)


@pytest.mark.parametrize(
    ("file", "affected"),
    [
        ("models/thread.py", {"thread"}),
        (
            "drivers/streams.py",
            {
                "asyncio",
                "asyncio-eager",
                "asyncio-processes",
                "asyncio-threads",
                "prefork",  # its file imports the loops, if only by name
                "prefork-asyncio",
                "prefork-reuseport",
                "prefork-threads",
                "prefork-uvloop",
                "thread-loops",
                "uvloop",
            },
        ),
        ("drivers/yielding.py", {"coroutine"}),
        ("protocol.py", {model.name for model in MODELS}),
        ("__main__.py", {model.name for model in MODELS}),
    ],
)
def test_a_model_is_unchanged_when_nothing_that_it_imports_differs(
    project: Path, file: str, affected: set[str]
) -> None:
    edit(project, file)
    try:
        with side_by_side(resolve("HEAD", project), project) as trees:
            same = {model.name for model in unchanged(MODELS, trees)}
    finally:
        git(project, "checkout", "--quiet", "servers")
    assert {model.name for model in MODELS} - same == affected


def test_a_row_of_the_catalogue_is_the_affair_of_its_own_model(project: Path) -> None:
    catalog = project / "servers" / "catalog.py"
    rows = catalog.read_text()
    title = next(iter(MODELS)).title
    new = 'MODELS: tuple[Model, ...] = (\n    Model("new", "A new one.", "threads", "thread"),'
    assert title in rows
    edited = rows.replace(title, "Another title.").replace("MODELS: tuple[Model, ...] = (", new)
    catalog.write_text(edited)
    try:
        with side_by_side(resolve("HEAD", project), project) as trees:
            same = unchanged(MODELS, trees)
    finally:
        git(project, "checkout", "--quiet", "servers")
    assert [model for model in MODELS if model not in same] == [MODELS[0]]


def test_a_model_that_the_base_does_not_have_is_not_unchanged(tmp_path: Path) -> None:
    trees = Trees(tmp_path / "base", tmp_path / "head")
    for tree in trees:
        copy_servers(ROOT, tree)
    (trees.base / "servers" / "models" / "thread.py").unlink()
    assert unchanged([find("thread"), find("process")], trees) == [find("process")]


def test_what_a_module_imports_is_found_through_others() -> None:
    found = imported(ROOT, ["servers.models.thread"])
    assert {"servers.models.thread", "servers.drivers.blocking", "servers.protocol"} <= found
    assert "servers.drivers.streams" not in found
