"""udp-delay: 8 clients of a datagram server that needs a while for each."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, at_most
from bench.experiments.sockets.ends import HOST

CLIENTS = 8
FIRST, LAST = "first answer, in units", "last answer, in units"
SERIAL, THREADS = "one after another", "a thread each"

Serve = Callable[[socket.socket, bytes, Any, float], None]


def answer(sock: socket.socket, data: bytes, peer: Any, seconds: float) -> None:
    """Work for a while, and answer."""
    time.sleep(seconds)
    sock.sendto(data, peer)


def in_a_thread(sock: socket.socket, data: bytes, peer: Any, seconds: float) -> None:
    """Have a thread do that: what ThreadingUDPServer does."""
    threading.Thread(target=answer, args=(sock, data, peer, seconds)).start()


WAYS: dict[str, Serve] = {SERIAL: answer, THREADS: in_a_thread}


def serve(sock: socket.socket, way: Serve, seconds: float) -> None:
    """Serve as many requests as there are clients."""
    for _ in range(CLIENTS):
        data, peer = sock.recvfrom(1024)
        way(sock, data, peer, seconds)


def ask_all(way: Serve, seconds: float) -> list[float]:
    """Return after how many units each client had its answer, in order."""
    server = socket.socket(type=socket.SOCK_DGRAM)
    clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(CLIENTS)]
    server.bind((HOST, 0))
    thread = threading.Thread(target=serve, args=(server, way, seconds))
    thread.start()
    taken: list[float] = []
    start = time.perf_counter()

    def ask(client: socket.socket) -> None:
        client.sendto(b"?", server.getsockname())
        client.recv(1024)
        taken.append((time.perf_counter() - start) / seconds)

    crowd = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for each in crowd:
        each.start()
    for each in (*crowd, thread):
        each.join()
    for sock in (server, *clients):
        sock.close()
    return sorted(taken)


def measure(lab: Lab) -> None:
    """Ask in both ways."""
    seconds = lab.pick(0.01, 0.05, 0.05, 0.05)
    for name, way in WAYS.items():
        found = [ask_all(way, seconds) for _ in range(lab.rounds)]
        lab.report(name, LAST, "times", [each[-1] for each in found])
        lab.report(name, FIRST, "times", [each[0] for each in found])


def judge(found: Found) -> Verdict:
    """Without threads it only looks concurrent: the last waits for all before it."""
    return all_of(
        [
            at_least(
                found.of(SERIAL, LAST),
                CLIENTS - 1,
                "one after another the last of 8 waits {} what one takes",
            ),
            at_most(found.of(THREADS, LAST), 3, "with a thread each it waits {}"),
        ]
    )
