"""The least that a load generator in plain Python can do: epoll, and no bookkeeping at all.

`python -m bench.experiments.instrument.plain_epoll PORT CONNECTIONS SIZE SECONDS` keeps one
request of SIZE bytes outstanding on each connection to a raw echo server, and prints what that
cost. It stamps and checks nothing; what the engine does besides must be weighed against this.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time


def main(port: int, connections: int, size: int, seconds: float) -> None:
    """Drive the server; prints one JSON object with `requests` and `cpu_seconds`."""
    message = bytes(size)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    by_descriptor = {client.fileno(): client for client in clients}
    poll = select.epoll()
    for client in clients:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(client, select.EPOLLIN)
        client.send(message)
    requests = 0
    begin = time.process_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for descriptor, _ in poll.poll(1.0):
            client = by_descriptor[descriptor]
            client.recv(65_536)
            client.send(message)
            requests += 1
    print(json.dumps({"requests": requests, "cpu_seconds": time.process_time() - begin}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
