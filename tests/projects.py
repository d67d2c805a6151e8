"""A git repository with our servers in it, for what compares a working tree with a commit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.gate.worktree import copy_servers
from tests.conftest import ROOT

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(project: Path, *words: str) -> str:
    """Run git in a project as somebody, and return what it says."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", "-C", str(project), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_project(folder: Path) -> Path:
    """Make a repository with a commit that has our servers, and one before it that has none."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "README").write_text("a project without servers\n")
    git(folder, "add", "README")
    git(folder, "commit", "--quiet", "-m", "first")
    copy_servers(ROOT, folder)
    git(folder, "add", "servers")
    git(folder, "commit", "--quiet", "-m", "second")
    return folder


def edit(project: Path, name: str) -> None:
    """Add a line to a file under `servers`."""
    path = project / "servers" / name
    path.write_text(path.read_text() + "\n# another line\n")
