"""Where interpreters are: ours, on PATH, in pyenv's and uv's folders, and what `uv` itself says.

What is found is run and asked (`bench.interpreters.asking`): the name of a file proves nothing. The
first that is what its name promises is taken, and ours is always the first to be looked at.
"""

from __future__ import annotations

__all__ = ["Found", "found", "resolve"]

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.interpreters.asking import (
    SilentInterpreterError,
    ask,
    reason_against_servers,
    version_of,
)
from bench.interpreters.named import Asked, Interpreter, full_name, parse, short_name
from reports.untrusted import quoted

COMMAND = re.compile(r"(python|pypy|graalpy)(\d(\.\d+)?)?t?")
"""What an interpreter's file may be called, for those that nobody named."""
AT_ONCE = 4  # are asked
UV_SECONDS = 10.0
HOW_TO_GET = "`uv python install {name}`, pyenv or your distribution have it; or name its path"


class NoSuchInterpreterError(UserError):
    """A name that no interpreter here answers to; the message says what there is."""


class Found(NamedTuple):
    """An interpreter of this machine."""

    name: str  # that `--python` takes for it
    facts: dict[str, Any]
    reason: str  # why no server can run under it, in a sentence; empty if they can

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"name": self.name, **self.facts, "serves": not self.reason, "reason": self.reason}


def found() -> list[Found]:
    """Return every interpreter that is found without being named, ours first, each once."""
    rows: list[Found] = []
    names: set[str] = set()
    for facts in _distinct(_everywhere()):
        names_for_it = (short_name(facts), full_name(facts), facts["path"])
        name = next(name for name in names_for_it if name not in names)
        # The first of a version is what the short name stands for, and the full one as well.
        names.update(names_for_it)
        rows.append(Found(name, facts, reason_against_servers(facts)))
    return rows


def _distinct(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Ask what is at the paths, some at once, and yield each interpreter that answers, once."""

    def answer(path: str) -> dict[str, Any] | None:
        try:
            return ask(path)
        except SilentInterpreterError:  # nobody has named it: a shim without a version, a script
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(answer, dict.fromkeys(paths)))
    seen: set[str] = set()
    for facts in answers:
        if facts and (real := os.path.realpath(facts["path"])) not in seen:
            seen.add(real)
            yield facts


def _everywhere() -> Iterator[str]:
    """Yield the paths of whatever may be an interpreter."""
    yield sys.executable
    for folder in _path():
        try:
            files = sorted(folder.iterdir())
        except OSError:  # PATH may name folders that are not there
            continue
        yield from (str(file) for file in files if COMMAND.fullmatch(file.name))
    yield from _managed()


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def _path() -> list[Path]:
    """Return the folders of PATH, but not pyenv's shims: scripts, slow ones, for its versions."""
    return [folder for folder in map(Path, os.get_exec_path()) if folder != _pyenv() / "shims"]


def _managed() -> Iterator[str]:
    """Yield those in the folders of pyenv and uv, the newest first."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    for folder in (
        _pyenv() / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python"),
    ):
        for each in sorted(folder.glob("*"), key=_version_in, reverse=True):
            python = each / "bin" / "python"
            if not each.is_symlink() and python.exists():
                yield str(python)


def _version_in(folder: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", folder.name)))


def resolve(names: Iterable[str]) -> tuple[Interpreter, ...]:
    """Return the interpreters that names like `3.13t:PYTHON_GIL=1` stand for, in their order.

    NameOfInterpreterError, NoSuchInterpreterError or SilentInterpreterError, in this order of
    finding out.
    """
    chosen: dict[str, Interpreter] = {}
    for asked in [parse(name) for name in names]:
        interpreter = _resolved(asked)
        if interpreter.name in chosen:
            raise NoSuchInterpreterError(
                f"two interpreters are called {interpreter.name}: give one of them a label, as in"
                f" other={asked.what}"
            )
        chosen[interpreter.name] = interpreter
    return tuple(chosen.values())


def _resolved(asked: Asked) -> Interpreter:
    facts = _matching(asked)
    if asked.environment:
        facts = ask(facts["path"], asked.environment)
    if reason := reason_against_servers(facts):
        raise NoSuchInterpreterError(f"{asked.what}: {reason}")
    return Interpreter(
        name=asked.name(facts),
        path=facts["path"],
        environment=asked.environment,
        libraries=tuple(facts["libraries"]),
        version=version_of(facts),
        facts=facts,
    )


def _matching(asked: Asked) -> dict[str, Any]:
    """Return what the first interpreter says of itself that is what was asked for."""
    wanted = asked.wanted
    if not wanted:
        path = shutil.which(Path(asked.what).expanduser())
        if not path and os.sep not in asked.what:
            raise _no_such(asked, [])
        # Not resolved: an environment's python is a link, and knows by its own place what it is.
        return ask(str(Path(path or asked.what).absolute()))
    objections = []
    for path in dict.fromkeys(_candidates(asked)):
        try:
            facts = ask(path)
        except SilentInterpreterError as error:
            objections.append(str(error))
            continue
        objection = wanted.objection(facts)
        if not objection:
            return facts
        objections.append(f"{path}: {objection}")
    raise _no_such(asked, objections)


def _candidates(asked: Asked) -> Iterator[str]:
    """Yield the paths of what may be a version, the likeliest first."""
    wanted = asked.wanted
    assert wanted  # noqa: S101  # the caller has seen to it
    stem = {"": "python", "cpython": "python"}.get(wanted.implementation, wanted.implementation)
    if wanted.version == sys.version_info[: len(wanted.version)]:
        yield sys.executable
    minor = ".".join(map(str, wanted.version[:2]))
    with_t = [f"{stem}{minor}t"] if wanted.free_threaded else []
    for name in (*with_t, f"{stem}{minor}", f"{stem}{wanted.version[0]}", stem):
        files = (folder / name for folder in _path())
        yield from (str(file) for file in files if os.access(file, os.X_OK))
    told = re.compile(rf"(?<![\d.]){re.escape(minor)}(?!\d)")
    yield from (path for path in _managed() if told.search(Path(path).parts[-3]))
    if uv := shutil.which("uv"):
        yield from _found_by_uv(uv, asked.what.removeprefix("python"))


def _found_by_uv(uv: str, version: str) -> Iterator[str]:
    try:
        done = subprocess.run(
            [uv, "python", "find", version],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UV_SECONDS,
            check=False,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        )
    except (OSError, subprocess.TimeoutExpired):  # an uv that does not run finds nothing
        return
    if not done.returncode and (path := done.stdout.strip()):
        yield path


def _no_such(asked: Asked, objections: Sequence[str]) -> NoSuchInterpreterError:
    there = ", ".join(row.name for row in found() if not row.reason) or "none"
    telling = [each for each in objections if "free-threaded" in each or asked.what in each]
    said = f" ({'; '.join(telling)})" if telling else ""
    how = HOW_TO_GET.format(name=asked.what) if asked.wanted else "It is no command on PATH"
    return NoSuchInterpreterError(
        f"there is no interpreter {quoted(asked.what)} here{said}; there are {there}. {how}"
    )
