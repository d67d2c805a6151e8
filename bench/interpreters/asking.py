"""What an interpreter says of itself when it is run: the only thing about it that is believed.

The question is a script that any Python since 2.7 understands. It is asked like a server is
started, without `site` (-S), so that nothing that is installed has had a say in whether the GIL is
on; only then `site` is run, which alone knows the folders of a virtual environment.
"""

from __future__ import annotations

__all__ = ["OLDEST", "SilentInterpreterError", "ask", "reason_against_servers", "version_of"]

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from reports.untrusted import UntrustedError, checked, quoted, read_json

ASK_SECONDS = 10.0
MOST_BYTES = 100_000
OLDEST = (3, 11)
"""What `servers/` is written for: CPython 3.11 to 3.15, PyPy 3.11."""

QUESTION = r"""
import json, os, platform, struct, sys
version = ".".join(map(str, sys.version_info[:3]))
level = sys.version_info[3]
if level != "final":
    version += {"alpha": "a", "beta": "b", "candidate": "rc"}.get(level, level)
    version += str(sys.version_info[4])
implementation = platform.python_implementation().lower()
is_enabled = getattr(sys, "_is_gil_enabled", None)
gil = is_enabled() if is_enabled else (True if implementation in ("cpython", "pypy") else None)
jit = getattr(sys, "_jit", None)
jit_on = bool(jit.is_enabled()) if jit else None
jit_built = bool(jit.is_available()) if jit else None
if "pypyjit" in sys.builtin_module_names:
    jit_on = jit_built = True
import site
getattr(site, "main", lambda: None)()
import sysconfig
have = sysconfig.get_config_var
arguments = have("CONFIG_ARGS") or ""
free_threaded = bool(have("Py_GIL_DISABLED"))
if jit_built is None:
    jit_built = "--enable-experimental-jit" in arguments
    if not jit_built:
        jit_on = False
malloc = os.environ.get("PYTHONMALLOC") or (
    "mimalloc" if free_threaded else "pymalloc" if have("WITH_PYMALLOC") else "its own"
)
print(json.dumps({
    "path": sys.executable,
    "implementation": implementation,
    "version": version,
    "release": " ".join(sys.version.split()),
    "free_threaded": free_threaded,
    "gil": gil,
    "jit": jit_on,
    "jit_built": jit_built,
    "debug": bool(have("Py_DEBUG")),
    "optimized": "--enable-optimizations" in arguments if implementation == "cpython" else None,
    "build_flags": arguments,
    "compiler": platform.python_compiler(),
    "malloc": malloc,
    "bits": struct.calcsize("P") * 8,
    "libraries": [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")],
    "environment": {
        name: value for name, value in sorted(os.environ.items())
        if name.startswith("PYTHON") and name not in ("PYTHONPATH", "PYTHONHOME")
    },
}))
"""

KINDS: Mapping[str, Any] = {
    "path": str,
    "implementation": str,
    "version": str,
    "release": str,
    "free_threaded": bool,
    "debug": bool,
    "build_flags": str,
    "compiler": str,
    "malloc": str,
    "bits": int,
    "libraries": list[str],
    "environment": dict[str, str],
}
MAY_BE_UNKNOWN = ("gil", "jit", "jit_built", "optimized")
VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


class SilentInterpreterError(UserError):
    """Something that is no interpreter, or does not say what it is; the message is a sentence."""


def ask(path: str, environment: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Run what is at `path` and return what it says of itself; SilentInterpreterError."""
    try:
        done = subprocess.run(
            [path, "-S", "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
            check=False,
            cwd="/",  # a version manager may choose by the folder
            env={**_without_ours(os.environ), **dict(environment)},
        )
    except subprocess.TimeoutExpired:
        raise SilentInterpreterError(
            f"{path} does not say within {ASK_SECONDS:g} s what it is"
        ) from None
    except OSError as error:
        raise SilentInterpreterError(f"{path} cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        # What Python cannot start with is in the first line, and its state in those after it.
        telling = next((line for line in lines if line.startswith("Fatal")), lines[-1])
        raise SilentInterpreterError(f"{path} failed when it was asked what it is: {telling}")
    try:
        return _checked(done.stdout)
    except UntrustedError as error:
        raise SilentInterpreterError(f"{path} does not say what it is: {error}") from error


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    aside = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in environment.items() if name not in aside}


def _checked(answer: bytes) -> dict[str, Any]:
    """Return the facts in an answer, each of the kind that it must be; UntrustedError."""
    lines = answer.splitlines() or [b""]
    values = checked("its answer", read_json(lines[-1], most_bytes=MOST_BYTES), dict[str, Any])
    facts: dict[str, Any] = {}
    for name, kind in KINDS.items():
        if name not in values:
            raise UntrustedError(f"{name} is missing")
        facts[name] = checked(name, values[name], kind)
    for name in MAY_BE_UNKNOWN:
        value = values.get(name)
        if value is not None and not isinstance(value, bool):
            raise UntrustedError(f"{name} is {quoted(value)}")
        facts[name] = value
    if not Path(facts["path"]).is_absolute():
        raise UntrustedError(f"path is {quoted(facts['path'])}")
    version_of(facts)
    return facts


def version_of(facts: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the version as numbers, `(3, 14, 0)` of 3.14.0rc2; UntrustedError when it is none."""
    found = VERSION.match(facts["version"])
    if not found:
        raise UntrustedError(f"version is {quoted(facts['version'])}")
    return tuple(map(int, found.groups()))


def reason_against_servers(facts: Mapping[str, Any]) -> str:
    """Return why no server can run under an interpreter, in a sentence; empty if they can."""
    if version_of(facts)[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"servers need Python {oldest} or newer, and this is {facts['version']}"
    return ""
