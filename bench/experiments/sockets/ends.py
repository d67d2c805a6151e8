"""Two connected TCP sockets, for the experiments of this room."""

from __future__ import annotations

__all__ = ["HOST", "pair"]

import socket

HOST = "127.0.0.1"


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected TCP sockets: one that connected, one that was accepted."""
    with socket.create_server((HOST, 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other
