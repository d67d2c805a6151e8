"""HOST:PORT, as every command here takes it; an IPv6 address stands in brackets, [::1]:4000."""

from __future__ import annotations

__all__ = ["split"]

MOST_PORT = 65_535


def split(target: str) -> tuple[str, int]:
    """Return the host and the port; ValueError when `target` has not the form."""
    host, colon, port = target.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal()):
        raise ValueError(f"{target!r} is not of the form HOST:PORT")
    # Five digits first: int() itself refuses thousands of them, in other words.
    if len(port) > len(str(MOST_PORT)) or not 1 <= int(port) <= MOST_PORT:
        raise ValueError(f"the port must be 1 to {MOST_PORT}, not {port[:20]}")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise ValueError(f"in {target!r} an IPv6 address must stand in brackets, as in [::1]:4000")
    return host, int(port)
