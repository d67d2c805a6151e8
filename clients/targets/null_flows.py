"""The null server of datagrams, `python -m clients.targets.null_flows`: a bare echo in C.

What `clients.targets.null` is to connections: it takes a port of its own, prints a ready line, and
sends every datagram back until its standard input ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from clients.engine._engine import null_datagrams


def main() -> None:
    """Take a port of the loopback address and serve."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        endpoint.setblocking(False)
        host, port = endpoint.getsockname()
        ready = {"ready": True, "model": "null", "host": host, "port": port, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        null_datagrams(endpoint.fileno(), sys.stdin.fileno())


if __name__ == "__main__":
    main()
