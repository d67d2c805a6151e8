"""Runs one experiment in this process: `python -m bench.experiments.child NAME EFFORT`.

What it finds goes to its standard output as it is found, a JSON object a line, so that a child that
is stopped loses only what it was at. What the experiment itself prints goes to standard error. Its
standard input is a pipe from whoever waits for it: with that one's end the kernel sends SIGIO to
the whole process group, and nothing is left running.
"""

from __future__ import annotations

__all__ = ["main"]

import fcntl
import json
import os
import platform
import sys
import time
import traceback
from importlib import import_module
from typing import Any

from bench.experiments.code import measured_part
from bench.experiments.lab import EFFORTS, Lab
from bench.experiments.registry import find


def identity() -> dict[str, Any]:
    """Return what tells this interpreter from others, named as in a server's ready line."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    jit = getattr(sys, "_jit", None)  # from 3.14 on
    return {
        "implementation": sys.implementation.name,
        "python": platform.python_version(),
        "gil": gil,
        "jit": bool(jit and jit.is_enabled()) or "pypyjit" in sys.builtin_module_names,
    }


def main(name: str, effort: str) -> int:
    """Run it; returns the exit code."""
    out = os.dup(1)  # which no child of the experiment inherits
    os.dup2(2, 1)

    def tell(kind: str, value: Any) -> None:
        os.write(out, json.dumps({kind: value}).encode() + b"\n")

    experiment = find(name)
    module = import_module(experiment.module)
    tell("interpreter", identity())
    tell("code", measured_part(module))
    start = time.monotonic()
    try:
        module.measure(Lab(name, EFFORTS[effort], tell))
    except Exception as error:  # noqa: BLE001  # whatever it is, the finding says so
        traceback.print_exc()
        tell("failure", f"{type(error).__name__}: {error}")
        return 1
    tell("done", time.monotonic() - start)
    return 0


def end_with_the_conductor() -> None:
    """Have the kernel send SIGIO to this process group when the pipe on standard input closes."""
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


if __name__ == "__main__":
    end_with_the_conductor()
    sys.exit(main(*sys.argv[1:]))
