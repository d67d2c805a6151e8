"""nagle: two small writes and a read, with and without NODELAY, with quick and delayed ACKs."""

from __future__ import annotations

import socket
import threading
import time

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, at_most
from bench.experiments.sockets.ends import pair

HALF = b"x" * 20
FIGURE, PIECES = "two writes and a read", "receives of a request"


def case_of(nodelay: bool, quick: bool) -> str:  # both are settings of a socket
    """Return what a pair of settings is called."""
    return f"{'NODELAY' if nodelay else 'Nagle'}, {'quick' if quick else 'delayed'} ACK"


def answer(sock: socket.socket, quick: bool, received: list[int]) -> None:  # likewise
    """Answer each whole request with one byte; count the receives that it took."""
    pending = pieces = 0
    while data := _receive(sock, quick):
        pending, pieces = pending + len(data), pieces + 1
        if pending == 2 * len(HALF):
            received.append(pieces)
            pending = pieces = 0
            sock.send(b"!")


def _receive(sock: socket.socket, quick: bool) -> bytes:  # likewise
    # The kernel leaves the quick mode by itself, so it is asked for it each time, or for the other.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, quick)
    return sock.recv(1024)


def exchanges(nodelay: bool, quick: bool, number: int) -> tuple[list[float], list[int]]:  # likewise
    """Return how long each exchange took, and in how many pieces its request arrived."""
    client, server = pair()
    received: list[int] = []
    with client, server:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=answer, args=(server, quick, received))
        thread.start()
        taken = []
        for _ in range(number):
            start = time.perf_counter()
            client.send(HALF)
            client.send(HALF)
            client.recv(1)
            taken.append(time.perf_counter() - start)
        client.shutdown(socket.SHUT_WR)
        thread.join()
    return taken, received


def measure(lab: Lab) -> None:
    """Exchange with each pair of settings."""
    number = lab.pick(10, 30, 100, 300)
    for nodelay in (False, True):
        for quick in (True, False):
            taken, received = exchanges(nodelay, quick, number)
            case = case_of(nodelay, quick)
            lab.spread(case, FIGURE, "s", taken)
            lab.spread(case, PIECES, "count", received)


def judge(found: Found) -> Verdict:
    """Nagle holds the second write back until the first is acknowledged."""
    delayed = found.of(case_of(nodelay=False, quick=False))
    return all_of(
        [
            at_least(
                ratio(delayed, found.of(case_of(nodelay=True, quick=False))),
                5,
                "with Nagle and a delayed ACK an exchange takes {} times as long as with NODELAY",
            ),
            at_most(
                ratio(found.of(case_of(nodelay=False, quick=True)), delayed),
                0.5,
                "with a quick ACK it takes {} of that",
            ),
        ]
    )
