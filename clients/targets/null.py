"""The null server, `python -m clients.targets.null`: a bare epoll echo in C, on a port of its own.

With a number behind it, so many processes listen on one port, and the kernel deals the connections
out: one process has descriptors for so many and no more. It listens on the loopback address, or on
the one that comes after the number. It prints a ready line like those of
`python -m servers` and serves raw echo (`--framing rawecho`) until its standard input ends. What
the engine reaches against it is what the engine can reach.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from clients.engine._engine import null_server
from clients.engine.driver import allow_descriptors

BACKLOG = 4096


def main(processes: int = 1, address: str = "127.0.0.1") -> None:
    """Listen on an address and serve, with so many processes."""
    allow_descriptors()
    listeners = [_listener(address, 0)]
    host, port = listeners[0].getsockname()
    # All of them before the first child: who is told of the port finds every process listening.
    listeners += [_listener(address, port) for _ in range(processes - 1)]
    children: list[int] = []
    while len(listeners) > 1:
        if not (child := os.fork()):
            for other in listeners[:-1]:
                other.close()
            null_server(listeners[-1].fileno(), sys.stdin.fileno())
            os._exit(0)
        children.append(child)
        listeners.pop().close()
    ready = {"ready": True, "model": "null", "host": host, "port": port, "pid": os.getpid()}
    print(json.dumps(ready), flush=True)
    null_server(listeners[0].fileno(), sys.stdin.fileno())
    for child in children:
        os.waitpid(child, 0)


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.create_server((address, port), backlog=BACKLOG, reuse_port=True)
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1, *sys.argv[2:])
