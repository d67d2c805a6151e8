"""empty: what an empty send does on TCP and on UDP."""

from __future__ import annotations

import socket

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, exactly
from bench.experiments.sockets.ends import HOST, pair

ARRIVES, FIRST = "something arrives", "bytes of the first receive"
PATIENCE_SECONDS = 0.05


def by_tcp() -> tuple[bool, int]:
    """Send nothing; then a word, so that it can be told from what came of nothing."""
    one, other = pair()
    with one, other:
        one.send(b"")
        other.settimeout(PATIENCE_SECONDS)
        try:
            other.recv(1024)
            arrives = True
        except TimeoutError:
            arrives = False
        one.send(b"word")
        other.settimeout(None)
        return arrives, len(other.recv(1024))


def by_udp() -> tuple[bool, int]:
    """Do the same with datagrams."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as one,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        other.bind((HOST, 0))
        one.sendto(b"", other.getsockname())
        other.settimeout(PATIENCE_SECONDS)
        try:
            return True, len(other.recv(1024))
        except TimeoutError:
            return False, -1


WAYS = {"TCP": by_tcp, "UDP": by_udp}


def measure(lab: Lab) -> None:
    """Send nothing in both ways."""
    for name, send in WAYS.items():
        found = [send() for _ in range(lab.rounds)]
        lab.report(name, ARRIVES, "yes", [arrives for arrives, _ in found])
        lab.report(name, FIRST, "bytes", [size for _, size in found])


def judge(found: Found) -> Verdict:
    """Nothing on TCP; on UDP a datagram without bytes."""
    return all_of(
        [
            exactly(found.of("TCP", ARRIVES), 0, "TCP, something arrives: {}"),
            exactly(found.of("UDP", ARRIVES), 1, "UDP, something arrives: {}"),
            exactly(found.of("UDP", FIRST), 0, "its size is {}"),
        ]
    )
