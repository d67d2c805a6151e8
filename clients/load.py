"""A load and the server that it is aimed at: what the load engine and its oracle take.

The load itself is described in `reports.load`, field by field, because stored samples contain it.
"""

from __future__ import annotations

__all__ = ["ERROR_KINDS", "REQUEST_KINDS", "AimedLoad"]

import dataclasses
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Self

from reports.load import Load
from servers import protocol

ERROR_KINDS = (
    "refused",
    "connect_timeout",
    "reset",
    "eof",
    "mismatch",
    "error_frame",
    "timeout",
    "unfinished",
    "no_descriptors",
    "no_ports",
    "lost",
    "late",
    "duplicated",
)
"""How a request can end other than by its answer; every tally counts all of them."""

REQUEST_KINDS = {
    "ECHO": protocol.ECHO,
    "UPPER": protocol.UPPER,
    "COMPUTE": protocol.COMPUTE,
    "WAIT": protocol.WAIT,
    "EXEC": protocol.EXEC,
    "GET": protocol.GET,
    "PUT": protocol.PUT,
}
"""The requests that the engine can make, with their numbers on the wire (docs/wire.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AimedLoad(Load):
    """A load on one server. ValueError says which field cannot be."""

    host: str = "127.0.0.1"  # an IPv4 address
    port: int

    def __post_init__(self) -> None:
        """Check the target, that there are such requests, and the load itself."""
        IPv4Address(self.host)
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"port must be 1 to 65535, not {self.port}")
        if self.kind not in REQUEST_KINDS:
            raise ValueError(f"kind must be one of {', '.join(REQUEST_KINDS)}, not {self.kind!r}")
        # By name: a dataclass with slots is made anew, and `super()` would look for the old class.
        Load.__post_init__(self)

    @classmethod
    def at(cls, host: str, port: int, load: Load, **changes: Any) -> Self:
        """Aim a load, with some of its fields changed, at a server."""
        fields = {each.name: getattr(load, each.name) for each in dataclasses.fields(Load)}
        return cls(host=host, port=port, **fields | changes)
