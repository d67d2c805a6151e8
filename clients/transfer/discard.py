"""Fetches a file over a connection that may be used again, and keeps nothing of it."""

from __future__ import annotations

__all__ = ["fetch"]

import json
import socket
from collections.abc import Callable
from hashlib import sha256

from servers.protocol import DATA, DATA_BYTES, END, GET, META, Connection, frame


def fetch(sock: socket.socket, name: str, progress: Callable[[], None]) -> None:
    """GET a file and verify its size and digest; `progress` is called for each piece."""
    sock.sendall(frame(GET, 1, name.encode()))
    received, digest, size, moved = Connection(), sha256(), -1, 0
    while True:
        data = sock.recv(DATA_BYTES)
        if not data:
            raise EOFError(f"The server closed after {moved} bytes of {name}.")
        for kind, _, body in received.receive(data):
            if kind == META:
                size = json.loads(body)["size"]
            elif kind == DATA:
                digest.update(body)
                moved += len(body)
                progress()
            elif kind == END and moved == size and json.loads(body)["sha256"] == digest.hexdigest():
                return
            else:
                raise ValueError(f"The server sent a frame of kind {kind} after {moved} bytes.")
