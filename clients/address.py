"""HOST:PORT, as every command here takes it."""

from __future__ import annotations


def split(target: str) -> tuple[str, int]:
    """Return the host and the port; ValueError when `target` has not the form."""
    host, colon, port = target.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal()):
        raise ValueError(f"{target!r} is not of the form HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
