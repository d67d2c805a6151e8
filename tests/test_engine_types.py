"""The stub files of the compiled modules."""

from __future__ import annotations

import subprocess
import sys

MODULES = ("clients.engine._engine", "clients.engine._message", "clients.engine._schedule")


def test_the_stub_files_match_the_built_modules() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", *MODULES],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
