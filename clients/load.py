"""What is asked of a server: the load engine and its plain-Python oracle both take a `Load`.

Closed loop (`rate` 0): each of `connections` connections has `depth` requests outstanding, and the
next one goes out when an answer has come in. Open loop: requests are due at times fixed beforehand,
`rate` a second over all connections. A due request goes to the connection that has been free for
longest; when none is free it waits, and its clock runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

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
)
"""How a request can end other than by its answer; every tally counts all of them."""

REQUEST_KINDS = {
    "ECHO": protocol.ECHO,
    "UPPER": protocol.UPPER,
    "COMPUTE": protocol.COMPUTE,
    "WAIT": protocol.WAIT,
    "GET": protocol.GET,
    "PUT": protocol.PUT,
}
"""The requests that the engine can make, with their numbers on the wire (docs/wire.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load on one server. ValueError says which field cannot be."""

    host: str = "127.0.0.1"  # an IPv4 address
    port: int
    connections: int = 64
    depth: int = 1  # requests outstanding on each connection
    session: int = 0  # requests in a connection's life; 0: it lives for the run
    kind: str = "ECHO"  # one of REQUEST_KINDS
    size: int = 64  # bytes of payload in a request; of the file that a GET or a PUT moves
    argument: int = 0  # rounds of COMPUTE, microseconds of WAIT
    framing: str = "frames"  # of docs/wire.md; or "rawecho": `size` bytes out, the same bytes back
    length_prefix: int = 0  # rawecho: its first 0, 1, 2, 4 or 8 bytes say how many follow
    rate: float = 0.0  # requests due per second; 0: a closed loop
    arrivals: str = "uniform"  # of an open loop; or "poisson"
    seed: int = 0  # of Poisson arrivals
    spin: bool = False  # never sleep while loading: for a generator with a CPU of its own
    idle: int = 0  # further connections, which make one request when they open and none after it
    connect_at_once: int = 128  # connections that may be under way to open at a time
    threads: int = 1  # of the engine; connections are dealt out to them
    connect_timeout_seconds: float = 5.0
    request_timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Check every field against its range."""
        IPv4Address(self.host)
        ranges = {
            "port": (1, 65_535),
            "connections": (1, 1_000_000),
            "depth": (1, 4_096),
            "session": (0, 2**31 - 1),
            "size": (0, 16 * 2**20),
            "argument": (0, 2**32 - 1),
            "rate": (0, 10_000_000),
            "seed": (0, 2**64 - 1),
            "idle": (0, 1_000_000),
            "connect_at_once": (1, 1_000_000),
            "threads": (1, min(64, self.connections)),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        for name in ("connect_timeout_seconds", "request_timeout_seconds"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} must be above 0 and at most 3600")
        if self.kind not in REQUEST_KINDS:
            raise ValueError(f"kind must be one of {', '.join(REQUEST_KINDS)}, not {self.kind!r}")
        if self.arrivals not in {"uniform", "poisson"}:
            raise ValueError(f"arrivals must be 'uniform' or 'poisson', not {self.arrivals!r}")
        if self.framing not in {"frames", "rawecho"}:
            raise ValueError(f"framing must be 'frames' or 'rawecho', not {self.framing!r}")
        if self.framing == "rawecho" and self.size == 0:
            raise ValueError("rawecho needs a size of at least 1")
        if self.length_prefix not in {0, 1, 2, 4, 8}:
            raise ValueError("length_prefix must be 0, 1, 2, 4 or 8 bytes")
        if self.length_prefix:
            if self.framing != "rawecho":
                raise ValueError("length_prefix belongs to the rawecho framing")
            if not self.length_prefix <= self.size < 256**self.length_prefix:
                raise ValueError("size does not fit its length_prefix")
