"""The null server, `python -m clients.targets.null`: a bare epoll echo in C, on a port of its own.

It prints a ready line like those of `python -m servers` and serves raw echo (`--framing rawecho`)
until its standard input ends. What the engine reaches against it is what the engine can reach.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from clients.engine._engine import null_server

BACKLOG = 4096


def main() -> None:
    """Listen on the loopback address and serve."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        host, port = listener.getsockname()
        ready = {"ready": True, "model": "null", "host": host, "port": port, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        null_server(listener.fileno(), sys.stdin.fileno())


if __name__ == "__main__":
    main()
