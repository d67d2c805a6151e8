"""The stub file of the compiled engine."""

from __future__ import annotations

import subprocess
import sys


def test_the_engines_stub_file_matches_the_built_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "clients._engine"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
