"""How a server is started for a load, and where: the one list of it, from a workload to the record.

A field is one line here: what it is unless told, what it means, how a level says it, and the option
of `python -m servers` that it becomes, if it is one. What a scenario asks for, what a server is
started with and what a stored sample says all follow from the fields. In a scenario a pool of 0
workers is as large as the model's row says; in a record it is none.
"""

from __future__ import annotations

__all__ = ["USUAL", "Serving"]

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _field(default: float | str, said: str | Callable[[Any], str], option: str = "") -> Any:
    """Return a field: how a level says a value that is not the default, and the server's option."""
    say = said if callable(said) else said.format
    return dataclasses.field(default=default, metadata={"say": say, "option": option})


def _count(noun: str) -> Callable[[int], str]:
    return lambda number: f"{number:,} {noun}{'s' if number != 1 else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is asked of a server beside its load. A level names its fields in this order."""

    # Connections that may wait to be accepted; 0: the server's own.
    backlog: int = _field(0, "backlog {:,}", "--backlog")
    # Of its socket of datagrams, before the kernel doubles it; 0: its own.
    receive_buffer: int = _field(0, "receive buffer {:,}", "--receive-buffer")
    # How it is reached: empty, over loopback; "veth", a pair of virtual cards; "network", from the
    # hosts that a sample's topology names.
    link: str = _field("", "over {}")
    # How long a thread keeps the GIL from others; 0: the usual 5 ms.
    switch_seconds: float = _field(
        0.0, lambda seconds: f"switch interval {seconds * 1e3:g} ms", "--switch-interval"
    )
    placement: str = _field("split", "{}")  # split, same or free
    workers: int = _field(0, _count("worker"), "--workers")  # of a pool
    # The most CPUs that it gets; 0: all that its placement gives it.
    cpus: int = _field(0, lambda number: f"server on {_count('CPU')(number)}")

    @property
    def words(self) -> list[str]:
        """What of it does not go without saying, as levels put it."""
        return [
            each.metadata["say"](value)
            for each in dataclasses.fields(self)
            if (value := getattr(self, each.name)) != each.default
        ]

    @property
    def options(self) -> dict[str, Any]:
        """The server's own options, with their values; 0 where it is not told."""
        return {
            option: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if (option := each.metadata["option"])
        }


USUAL = Serving()
"""As a server is started by whoever asks for nothing else."""
