"""Changes of known kind, put into a copied tree of servers: what a gate must and must not see.

Each is a few lines of text, inserted where every echo passes. How much a line costs differs by
machine and Python, so the amount of a spin is calibrated, and what it really did is measured with
the rest; nothing here is taken for granted but that the text was inserted.
"""

from __future__ import annotations

__all__ = ["CASES", "SAME_CODE", "SPIN", "Injection"]

import compileall
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.errors import TroubleError
from bench.gate.worktree import copy_servers

SERVICE = "servers/service.py"
ECHO = "    def _echo(self, tag: int, body: bytes) -> Reply:\n"
BEGINNING = "ECHO_ANSWER = ECHO + ANSWER\n"


class InjectionError(TroubleError):
    """A tree that has changed so much that the text finds no place."""


class Injection(NamedTuple):
    """A change: what to insert after which lines of the service; `{amount}` is its size."""

    name: str
    shows: str
    insertions: tuple[tuple[str, str], ...] = ()
    amount: float = 0.0  # as it comes; a spin's is calibrated
    grows: float = 0.0  # a spin's aim: the share by which CPU per request is to grow
    in_base: bool = False  # the base gets it: the head is the better one
    placement: str = "same"

    def amounting_to(self, amount: float) -> Injection:
        """Return the same of another size."""
        return self._replace(amount=amount)

    def into(self, project: Path, tree: Path) -> Path:
        """Copy the servers of `project` to `tree`, insert the text, and return `tree`."""
        copy_servers(project, tree)
        service = tree / SERVICE
        text = service.read_text(encoding="utf-8")
        for after, lines in self.insertions:
            if text.count(after) != 1:
                raise InjectionError(f"{SERVICE} has {text.count(after)} places like {after!r}")
            text = text.replace(after, after + lines.replace("{amount}", f"{self.amount:.9g}"))
        service.write_text(text, encoding="utf-8")
        compileall.compile_dir(tree / "servers", quiet=2)
        return tree


SPIN = ((ECHO, "        for _ in range({amount}):\n            pass\n"),)


def every(requests: int, then: str) -> tuple[tuple[str, str], ...]:
    """Return the insertions that do `then` at each so many requests of a process."""
    return (
        (BEGINNING, "echoes = 0\n"),
        (
            ECHO,
            "        global echoes\n        echoes += 1\n"
            f"        if echoes % {requests} == 0:\n            {then}\n",
        ),
    )


SAME_CODE = Injection("A/A", "the same code on both sides")
CASES: Mapping[str, Injection] = {
    case.name: case
    for case in (
        SAME_CODE,
        Injection("+8% CPU", "a spin in every request", SPIN, grows=0.08),
        Injection("+10% CPU", "a longer one", SPIN, grows=0.10),
        Injection("+20% CPU", "a long one", SPIN, grows=0.20),
        Injection("speed-up", "a spin that the head no longer has", SPIN, grows=0.10, in_base=True),
        Injection(
            "sleep",
            "a short sleep in one of a hundred requests: latency and hardly any CPU",
            every(100, "__import__('time').sleep({amount})"),
            amount=120e-6,
        ),
        Injection(
            "memory",
            "memory held from the start",
            ((BEGINNING, "held = b'x' * int({amount})\n"),),
            amount=1.75 * 2**20,
        ),
        Injection(
            "crash",
            "a server that dies at its start",
            ((BEGINNING, "raise SystemExit('a fault was injected')\n"),),
        ),
        Injection(
            "wrong reply",
            "a wrong byte in one of a thousand replies",
            every(1_000, "body = bytes([body[0] ^ 1]) + body[1:]"),
        ),
        SAME_CODE._replace(name="A/A, split", placement="split"),
        Injection("+8% CPU, split", "the spin", SPIN, grows=0.08, placement="split"),
    )
}
