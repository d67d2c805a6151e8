"""The libraries of another interpreter: a virtual environment of its own, and what is in it.

`.venv-3.13t` in the project belongs to the interpreter called 3.13t, whatever variables it is
given. It is filled from `requirements.lock`, hashes and all, a library at a time: one that has no
wheel for this interpreter is said and keeps no other from being installed. Nothing is ever built
from source, which could take an hour and end in half a library. A server of the interpreter finds
the folder on its PYTHONPATH, and only when its model needs something (`bench.measure.launch`).
"""

from __future__ import annotations

__all__ = [
    "EnvironmentTroubleError",
    "Installed",
    "NoSuchExtraError",
    "folder_of",
    "has",
    "install",
    "with_libraries",
]

import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

from bench.errors import TroubleError, UserError
from bench.interpreters.asking import SilentInterpreterError, ask
from bench.interpreters.named import Interpreter

INSTALL_SECONDS = 600
LOCK = "requirements.lock"
HEAD = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==")
NOT_IN_A_NAME = re.compile(r"[^\w.+-]+")
SAME = ("implementation", "version", "free_threaded")
"""What an environment's interpreter must share with the one that it is for."""


class NoSuchExtraError(UserError):
    """A set of libraries that the project does not have; the message names those it has."""


class EnvironmentTroubleError(TroubleError):
    """An environment that cannot be made; the message is a sentence."""


class Installed(NamedTuple):
    """What became of one library."""

    name: str
    version: str  # empty: it is not there
    reason: str  # why not, in a few words


def folder_of(name: str, home: Path) -> Path:
    """Return the environment of an interpreter by its name, be it there or not."""
    return home / f".venv-{NOT_IN_A_NAME.sub('-', name.partition(':')[0])}"


def with_libraries(interpreter: Interpreter, home: Path) -> Interpreter:
    """Return the interpreter with the libraries of its environment as well, where it has one.

    EnvironmentTroubleError when the environment was made for another interpreter.
    """
    folder = folder_of(interpreter.name, home)
    if not interpreter.name or not folder.exists():
        return interpreter
    try:
        facts = ask(str(folder / "bin" / "python"))
    except SilentInterpreterError as error:
        raise EnvironmentTroubleError(f"{folder.name} is broken, remove it: {error}") from error
    if differs := [name for name in SAME if facts[name] != interpreter.facts[name]]:
        told = "; ".join(f"{name} {facts[name]}, {interpreter.facts[name]}" for name in differs)
        raise EnvironmentTroubleError(
            f"{folder.name} was made for another interpreter, remove it: {told}"
        )
    libraries = dict.fromkeys([*facts["libraries"], *interpreter.libraries])
    return replace(interpreter, libraries=tuple(libraries))


def has(interpreter: Interpreter, name: str) -> bool:
    """Return whether a distribution is installed where the interpreter's servers look."""
    return _distribution(interpreter.libraries, name) is not None


def _distribution(folders: Sequence[str], name: str) -> Distribution | None:
    return next(iter(distributions(name=name, path=list(folders))), None)


def install(
    extra: str, interpreter: Interpreter, home: Path, said: Callable[[str], object]
) -> list[Installed]:
    """Install an extra of the project for an interpreter, as far as there are wheels.

    NoSuchExtraError, or EnvironmentTroubleError when there can be no environment.
    """
    names = wanted(extra, home)
    entries = read_lock((home / LOCK).read_text(encoding="utf-8"))
    folder = folder_of(interpreter.name, home)
    if not folder.exists():
        said(f"making {folder.name}")
        _run([interpreter.path, "-m", "venv", str(folder)], f"make {folder.name}")
    python = str(folder / "bin" / "python")
    interpreter = with_libraries(interpreter, home)
    done = []
    for name in names:
        said(f"installing {name}")
        reason = _install(python, [entries[each] for each in closure(name, entries)])
        found = _distribution(interpreter.libraries, name)
        done.append(Installed(name, "" if reason or not found else found.version, reason))
    return done


def wanted(extra: str, home: Path) -> list[str]:
    """Return the distributions of an extra in pyproject.toml; NoSuchExtraError."""
    settings = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))
    extras = settings["project"]["optional-dependencies"]
    if extra not in extras:
        raise NoSuchExtraError(f"there is nothing called {extra!r} to install: {', '.join(extras)}")
    return [normal(re.split(r"[^\w.-]", name)[0]) for name in extras[extra]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A pinned distribution of the lock."""

    lines: tuple[str, ...]  # with its hashes, as pip reads them
    via: frozenset[str]  # who needs it


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, Entry]:
    """Return the entries of a lock that `uv pip compile` wrote, by name."""
    entries: dict[str, Entry] = {}
    lines: list[str] = []
    via: list[str] = []

    def keep() -> None:
        if lines and (head := HEAD.match(lines[0])):
            entries[normal(head["name"])] = Entry(tuple(lines), frozenset(via))

    for line in text.splitlines():
        if HEAD.match(line):
            keep()
            lines, via = [line], []
        elif line.startswith("    --hash"):
            lines.append(line)
        elif lines and line.startswith("    #"):
            said = line.strip(" #").removeprefix("via").split()
            via += [normal(said[0])] if said else []
    keep()
    return entries


def closure(name: str, entries: Mapping[str, Entry]) -> list[str]:
    """Return a distribution and all that it needs, of those in the lock."""
    found = [name] if name in entries else []
    for each in found:  # which grows
        found += [
            other for other, entry in entries.items() if each in entry.via and other not in found
        ]
    return found


def _install(python: str, entries: Sequence[Entry]) -> str:
    """Install pinned distributions; return why that was not possible, in a few words."""
    if not entries:
        return "it is not in the lock"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.writelines(f"{line}\n" for entry in entries for line in entry.lines)
        listed.flush()
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        strict = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", listed.name]
        try:
            _run([*pip, *strict], "install it")
        except EnvironmentTroubleError as error:
            said = str(error)
            if "No matching distribution" in said or "from versions" in said:
                return "no wheel for this interpreter"
            return said
    return ""


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentTroubleError(
            f"cannot {what}: it takes longer than {INSTALL_SECONDS} s"
        ) from None
    except OSError as error:
        raise EnvironmentTroubleError(f"cannot {what}: {error.strerror}") from error
    if done.returncode:
        raise EnvironmentTroubleError(f"cannot {what}: {next(_telling(done), 'it said nothing')}")


def _telling(done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    """Yield the lines of a failed command that say why, the likeliest first."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    yield from reversed([line for line in lines if line.startswith("ERROR")])
    yield from reversed(lines)
