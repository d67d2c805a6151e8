"""What is asked of a server: the one description of a load, from the command line to the record.

A field is one line here: its type, what it is unless told, the range that it must be in, and the
sentence that describes it. The options of `python -m clients`, the line that the load engine's
process is given, the rows of `bench.plan.scenarios` and the stored samples all follow from the
fields; only a word in a scenario's level, where a field deserves one, is written elsewhere.

Closed loop (`rate` 0): each of `connections` connections has `depth` requests outstanding, and the
next one goes out when an answer has come in. Open loop: requests are due at times fixed beforehand,
`rate` a second over all connections. A due request goes to the connection that has been free for
longest; when none is free it waits, and its clock runs.

It stands in `reports`, which imports nothing of ours, because a stored sample contains it; where
the load is aimed at is `clients.load`'s.
"""

from __future__ import annotations

__all__ = ["FILE_KINDS", "Load"]

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

BIG_BYTES = 64 * 1024
"""From this payload on a request is a big transfer."""
FILE_KINDS = ("GET", "PUT")
"""Requests that move a file of `size_bytes` and not a payload."""
DATAGRAM_KINDS = ("ECHO", "UPPER", "COMPUTE", "WAIT")
"""Requests that need no connection."""
ARGUMENT_KINDS = ("COMPUTE", "WAIT")
"""Requests whose payload comes after a number."""
HEADER_BYTES, ARGUMENT_BYTES, MOST_DATAGRAM_BYTES = 8, 4, 65_507
"""Of docs/wire.md; this room imports nothing of ours."""
LEAST_RAW_BYTES = 2
"""A datagram without a frame is told from others by what of its mark has room: 65,536 of them."""


def _field(
    default: float | str,
    allowed: range | tuple[float, float] | Collection[str] | None,
    words: str,
    *,
    option: str = "",
    alias: str = "",
) -> Any:
    """Return a field of a load: `option` is its name on the command line where that is shorter.

    An `alias` is another name there.

    Allowed are a range of whole numbers, all numbers above one bound and up to another, or words.
    """
    described = {"allowed": allowed, "words": words, "option": option, "alias": alias}
    return dataclasses.field(default=default, metadata=described)


def _up_to(most: int, least: int = 0) -> range:
    return range(least, most + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load, whoever it is meant for. ValueError says which field cannot be."""

    connections: int = _field(
        64,
        _up_to(1_000_000, 1),
        "Open so many connections at a time, or flows of datagrams.",
        alias="--flows",
    )
    transport: str = _field(
        "tcp",
        ("tcp", "udp"),
        "Use tcp, or udp: a frame is a datagram, a connection a flow of them.",
    )
    depth: int = _field(
        1, _up_to(4_096, 1), "Keep so many requests outstanding on each connection."
    )
    session: int = _field(
        0, _up_to(2**31 - 1), "End a connection after so many requests; 0: it lives for the run."
    )
    kind: str = _field("ECHO", None, "Request this: ")
    size_bytes: int = _field(
        64,
        _up_to(16 * 2**20),
        "Have so many bytes in a request, or in the file of a GET or PUT; EXEC has none.",
        option="--size",
    )
    argument: int = _field(
        0, _up_to(2**32 - 1), "Ask for so many rounds of COMPUTE, or microseconds of WAIT."
    )
    framing: str = _field(
        "frames",
        ("frames", "rawecho"),
        "Send frames, or rawecho: SIZE bytes out, the same bytes back.",
    )
    length_prefix: int = _field(
        0, _up_to(8), "Say in the first N of rawecho's SIZE bytes how many follow."
    )
    rate: float = _field(
        0.0,
        _up_to(10_000_000),
        "Have so many requests fall due per second (an open loop); 0: a closed loop.",
    )
    arrivals: str = _field(
        "uniform", ("uniform", "poisson"), "Space an open loop's requests so: uniform or poisson."
    )
    seed: int = _field(0, _up_to(2**64 - 1), "Seed Poisson arrivals with this.")
    spin: bool = _field(False, None, "Never sleep: with a CPU to itself, send on time.")
    idle_connections: int = _field(
        0,
        _up_to(1_000_000),
        "Open so many further connections, which make one request and then keep quiet.",
        option="--idle",
    )
    connect_at_once: int = _field(
        128, _up_to(1_000_000, 1), "Have at most so many connections under way to open at a time."
    )
    engine_threads: int = _field(
        1, _up_to(64, 1), "Run the load engine in so many threads.", option="--threads"
    )
    engine_processes: int = _field(
        1,
        _up_to(64, 1),
        "Run the load engine in so many processes; all but the first hold idle connections.",
        option="--processes",
    )
    company: int = _field(
        0,
        _up_to(10_000),
        "Open so many connections of a second load, which keep a COMPUTE under way each.",
    )
    company_rounds: int = _field(
        75_000, _up_to(2**32 - 1), "Have that load ask for so many rounds of COMPUTE."
    )
    connect_timeout_seconds: float = _field(
        5.0, (0, 3600), "Give a connect up after so many seconds.", option="--connect-timeout"
    )
    request_timeout_seconds: float = _field(
        30.0, (0, 3600), "Count a request as lost after so many seconds.", option="--timeout"
    )

    def __post_init__(self) -> None:
        """Check every field by itself, and those that depend on each other."""
        for each in dataclasses.fields(self):
            if allowed := each.metadata.get("allowed"):
                _check(each.name, getattr(self, each.name), allowed)
        if self.transport == "udp":
            self._check_datagrams()
        if self.engine_threads > self.connections:
            raise ValueError(
                f"engine_threads must be 1 to {self.connections}, not {self.engine_threads}"
            )
        if self.framing == "rawecho" and self.size_bytes == 0:
            raise ValueError("rawecho needs a size of at least 1")
        if self.length_prefix not in {0, 1, 2, 4, 8}:
            raise ValueError("length_prefix must be 0, 1, 2, 4 or 8 bytes")
        if self.length_prefix:
            if self.framing != "rawecho":
                raise ValueError("length_prefix belongs to the rawecho framing")
            if not self.length_prefix <= self.size_bytes < 256**self.length_prefix:
                raise ValueError("size_bytes does not fit its length_prefix")

    def _check_datagrams(self) -> None:
        """Check what a flow of datagrams has no use for, and that a request is one of them."""
        if self.kind not in DATAGRAM_KINDS or self.session or self.idle_connections:
            raise ValueError(
                "udp has no connections, so no session and no idle_connections,"
                f" and no requests but {', '.join(DATAGRAM_KINDS)}"
            )
        if self.framing == "rawecho":
            least, most = LEAST_RAW_BYTES + self.length_prefix, MOST_DATAGRAM_BYTES
        else:
            least, most = 0, MOST_DATAGRAM_BYTES - HEADER_BYTES
            most -= ARGUMENT_BYTES if self.kind in ARGUMENT_KINDS else 0
        if not least <= self.size_bytes <= most:
            raise ValueError(
                f"size_bytes of a datagram must be {least} to {most:,}, not {self.size_bytes:,}"
            )

    @property
    def bulk_bytes(self) -> int:
        """Bytes that each request is about, where moving them is what it costs; 0: it is small."""
        big = self.kind == "ECHO" and self.size_bytes >= BIG_BYTES
        return self.size_bytes if big else self.file_bytes

    @property
    def file_bytes(self) -> int:
        """Bytes of a file that each request moves; 0: it is not about files."""
        return self.size_bytes if self.kind in FILE_KINDS else 0

    @property
    def rest_seconds(self) -> float:
        """How long a server must be seen not to move: a waiting one may be about to answer."""
        return 0.001 + (self.argument / 1e6 if self.kind == "WAIT" else 0.0)


def _check(name: str, value: Any, allowed: range | tuple[float, float] | Collection[str]) -> None:
    if isinstance(allowed, range):
        low, high = allowed.start, allowed.stop - 1
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value}")
    elif isinstance(value, str):
        if value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}")
    else:
        above, most = allowed
        if not above < value <= most:
            raise ValueError(f"{name} must be above {above} and at most {most}")
