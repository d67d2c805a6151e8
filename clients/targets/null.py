"""The null server, `python -m clients.targets.null`: a bare epoll echo in C, on a port of its own.

With a number behind it, so many processes accept from one socket: one process has descriptors for
so many connections and no more. It prints a ready line like those of `python -m servers` and serves
raw echo (`--framing rawecho`) until its standard input ends. What the engine reaches against it is
what the engine can reach.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from clients.engine._engine import null_server
from clients.engine.driver import allow_descriptors

BACKLOG = 4096


def main(processes: int) -> None:
    """Listen on the loopback address and serve, with so many processes."""
    allow_descriptors()
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        host, port = listener.getsockname()
        children: list[int] = []
        while len(children) < processes - 1 and (child := os.fork()):
            children.append(child)
        if len(children) < processes - 1:  # a child
            null_server(listener.fileno(), sys.stdin.fileno())
            os._exit(0)
        ready = {"ready": True, "model": "null", "host": host, "port": port, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        null_server(listener.fileno(), sys.stdin.fileno())
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1)
