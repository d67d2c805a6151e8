"""The frozen reference workload: how fast this machine is today, in CPU us of one round.

A round is a request in miniature: a message framed, sent through a socket pair, received, taken
apart and answered, all in pure Python in one process. It imports nothing of ours, and must not
change: a figure from a changed workload cannot be held against a stored one. Whoever changes it
anyway raises VERSION, which every stored run carries; a test holds the two together.

    python -S reference_load.py    prints the median over BATCHES, a float
"""

from __future__ import annotations

import socket
import time
from struct import Struct

VERSION = 1
BATCHES = 101
ROUNDS = 1_000
HEADER = Struct("!IBBH")
BODY = bytes(range(64))


def batch(here: socket.socket, there: socket.socket) -> float:
    """Return the CPU us of a round, over ROUNDS of them."""
    before = time.process_time_ns()
    for tag in range(ROUNDS):
        here.send(HEADER.pack(len(BODY), 1, 0, tag) + BODY)
        for sender in (there, here):
            data = sender.recv(65_536)
            size, kind, flags, echoed = HEADER.unpack_from(data)
            if (size, flags, echoed) != (len(BODY), 0, tag) or data[HEADER.size :] != BODY:
                raise SystemExit("a socket pair changed a message")
            if sender is there:
                there.send(HEADER.pack(size, kind + 128, 0, echoed) + data[HEADER.size :])
    return (time.process_time_ns() - before) / 1e3 / ROUNDS


def main() -> None:
    """Print the median of all batches but the first, which warms up."""
    here, there = socket.socketpair()
    with here, there:
        batch(here, there)
        found = sorted(batch(here, there) for _ in range(BATCHES))
    print(found[BATCHES // 2])


if __name__ == "__main__":
    main()
