"""An interpreter as a run knows it, and what a user may call it. Pure.

A name is `3.13`, `3.13t` (free-threaded), `3.13.0`, `pypy3`, a command or a path; `label=` before
it gives a name of one's own, and `:PYTHON_GIL=1` behind it sets a variable for its servers, so that
one binary makes two interpreters:

    3.13t:PYTHON_GIL=1          free=/opt/py/bin/python3.13t

What a version promises is compared with what the interpreter says of itself when run (`Wanted`).
"""

from __future__ import annotations

__all__ = [
    "OWN",
    "Asked",
    "Interpreter",
    "NameOfInterpreterError",
    "Wanted",
    "full_name",
    "parse",
    "short_name",
]

import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.errors import UserError

MOST_LETTERS = 60  # of a name that charts have room for
VERSION = re.compile(
    r"(?P<implementation>cpython|python|pypy|graalpy)?-?(?P<version>\d+(?:\.\d+){0,2})(?P<free>t?)"
)
LABEL = re.compile(r"[\w.+-]+")
VARIABLE = re.compile(r"(?P<name>PYTHON[A-Z0-9_]*)=(?P<value>[\x21-\x39\x3b-\x7e]*)")
NOT_TO_SET = {"PYTHONPATH", "PYTHONHOME"}
"""What decides which files are imported is the launcher's affair."""
ALIASES = {"python": "cpython"}


class NameOfInterpreterError(UserError):
    """What cannot be the name of an interpreter; the message is a sentence."""


class Wanted(NamedTuple):
    """What the name of a version promises."""

    implementation: str  # empty: not said, and then CPython
    version: tuple[int, ...]
    free_threaded: bool

    def objection(self, facts: Mapping[str, Any]) -> str:
        """Return how an interpreter differs from what its name promises; empty if it does not."""
        implementation = self.implementation or "cpython"
        parts = tuple(map(int, re.findall(r"\d+", str(facts["version"]))[:3]))
        if facts["implementation"] != implementation:
            return f"it is {facts['implementation']}, not {implementation}"
        if parts[: len(self.version)] != self.version:
            return f"it is {facts['version']}"
        if facts["free_threaded"] and not self.free_threaded and not self.is_vague:
            return f"it is free-threaded: its name is {short_name(facts)}"
        if self.free_threaded and not facts["free_threaded"]:
            return "it is not free-threaded"
        return ""

    @property
    def is_vague(self) -> bool:
        """Whether it is any of a major version, like `python3`, which promises little."""
        return len(self.version) == 1


class Asked(NamedTuple):
    """What a user named, taken apart."""

    what: str  # a version, a command or a path
    label: str  # empty: none of the user's own
    environment: tuple[tuple[str, str], ...]  # for its servers

    @property
    def wanted(self) -> Wanted | None:
        """What the name promises; None for a command or a path, which promise nothing."""
        found = VERSION.fullmatch(self.what)
        if not found:
            return None
        implementation = found["implementation"] or ""
        return Wanted(
            ALIASES.get(implementation, implementation),
            tuple(map(int, found["version"].split("."))),
            bool(found["free"]),
        )

    def name(self, facts: Mapping[str, Any]) -> str:
        """Return what the interpreter is called: as asked where that says what it is."""
        is_telling = self.wanted and not self.wanted.is_vague
        plain = self.label or (self.what if is_telling else short_name(facts))
        return ":".join([plain, *(f"{name}={value}" for name, value in self.environment)])


def parse(text: str) -> Asked:
    """Take a name apart; NameOfInterpreterError when it cannot be one."""
    head, *settings = text.split(":")
    label, equals, what = head.rpartition("=")
    if not what or (equals and not LABEL.fullmatch(label)):
        raise NameOfInterpreterError(
            f"{text[:80]!r} names no interpreter: it is 3.13, 3.13t, pypy3, a command or a path,"
            " with LABEL= before it or :PYTHON_GIL=1 behind it, if at all"
        )
    if len(label) > MOST_LETTERS:
        raise NameOfInterpreterError(f"a label has at most {MOST_LETTERS} letters")
    return Asked(what, label, tuple(_variable(each) for each in settings))


def _variable(text: str) -> tuple[str, str]:
    found = VARIABLE.fullmatch(text)
    if not found or found["name"] in NOT_TO_SET:
        raise NameOfInterpreterError(
            f"{text[:80]!r} is no setting of an interpreter: PYTHON_GIL=1, PYTHON_JIT=1,"
            " PYTHONMALLOC=malloc and the like are"
        )
    return found["name"], found["value"]


def short_name(facts: Mapping[str, Any]) -> str:
    """Return what an interpreter is called for short: 3.13, 3.13t, pypy3.11."""
    minor = ".".join(str(facts["version"]).split(".")[:2])
    return _stem(facts) + minor + _free(facts)


def full_name(facts: Mapping[str, Any]) -> str:
    """Return its name with the whole version: 3.13.0t."""
    return f"{_stem(facts)}{facts['version']}{_free(facts)}"


def _stem(facts: Mapping[str, Any]) -> str:
    return "" if facts["implementation"] == "cpython" else str(facts["implementation"])


def _free(facts: Mapping[str, Any]) -> str:
    return "t" if facts["free_threaded"] else ""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that servers run under, with what it said of itself when it was run."""

    name: str = ""  # in records and tables; empty: the one that conducts the run
    path: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()  # set for its servers
    libraries: tuple[str, ...] = ()  # the folders where what a model needs is installed
    version: tuple[int, ...] = sys.version_info[:3]
    # As `bench.interpreters.asking` has it; for records, not for telling one from another.
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def said(self) -> str:
        """The whole version in words, as in a sentence about it."""
        return ".".join(map(str, self.version))

    def to_json(self) -> dict[str, Any]:
        """Return what records keep of it."""
        return {**self.facts, "name": self.name}


OWN = Interpreter(libraries=tuple(sysconfig.get_path(name) for name in ("purelib", "platlib")))
"""The interpreter of this process: what servers run under unless told."""
