"""receive-size: what recv(1024) leaves of an answer of 68 KB, and what sizes of receives cost."""

from __future__ import annotations

import socket
import threading

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_most, exactly
from bench.experiments.sockets.ends import pair

ANSWER_BYTES = 68_000
SIZES = (1024, 8192, 65_536, 262_144)
ONCE = "recv(1024), once"
GOT, STALE, RECEIVES, TAKEN = (
    "of the answer",
    "the next begins with the rest",
    "receives",
    "to read it all",
)


def answer(sock: socket.socket) -> None:
    """Answer each letter with so many of it."""
    while letter := sock.recv(1):
        sock.sendall(letter * ANSWER_BYTES)


def once(sock: socket.socket) -> tuple[int, bool]:
    """Ask for a's and b's and receive once for each; return what came, and if b began with a's."""
    sock.send(b"a")
    first = sock.recv(1024)
    sock.send(b"b")
    second = sock.recv(1024)
    return len(first), second.startswith(b"a")


def whole(sock: socket.socket, size: int) -> int:
    """Ask once and receive until all has come; return how many receives that took."""
    sock.send(b"a")
    left, receives = ANSWER_BYTES, 0
    while left:
        left -= len(sock.recv(size))
        receives += 1
    return receives


def measure(lab: Lab) -> None:
    """Receive once, then in loops of each size."""
    shares, stale = [], []
    for _ in range(lab.rounds):
        client, server = pair()
        with client, server:
            thread = threading.Thread(target=_answer_to_the_end, args=(server,))
            thread.start()
            got, rest = once(client)
            shares.append(got / ANSWER_BYTES)
            stale.append(float(rest))
            client.close()  # with bytes unread: a reset, which ends the other side
            thread.join()
    lab.report(ONCE, GOT, "share", shares)
    lab.report(ONCE, STALE, "yes", stale)
    for size in SIZES:
        client, server = pair()
        with client, server:
            thread = threading.Thread(target=answer, args=(server,))
            thread.start()
            case = f"loop of recv({size})"
            receives: list[float] = []
            lab.time(
                case, TAKEN, lambda at=client, n=size, into=receives: into.append(whole(at, n))
            )
            lab.spread(case, RECEIVES, "count", receives)
            lab.report(case, GOT, "share", 1.0)
            client.shutdown(socket.SHUT_WR)
            thread.join()


def _answer_to_the_end(sock: socket.socket) -> None:
    try:
        answer(sock)
    except OSError:  # the peer has gone without reading all: that is this experiment
        return


def judge(found: Found) -> Verdict:
    """One receive gets a small part; the rest is taken for the next answer."""
    return all_of(
        [
            at_most(found.of(ONCE, GOT), 0.1, "one recv(1024) gets {} of the answer"),
            exactly(found.of(ONCE, STALE), 1, "the next answer begins with the rest: {}"),
        ]
    )
