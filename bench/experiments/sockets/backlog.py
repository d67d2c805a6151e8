"""backlog: how many may wait to be accepted, what befalls the next, when its SYN is sent again."""

from __future__ import annotations

import contextlib
import errno
import socket
import time

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, between, exactly
from bench.experiments.sockets.ends import HOST

BACKLOGS = (0, 1, 5, 16)
WAITING, NEXT_REFUSED, NEXT_WAITS = "may wait", "the next is refused", "the next hears nothing"
AGAIN = "its SYN is sent again after"
PATIENCE_SECONDS = 0.05
TOTAL_RETRANSMITS = slice(100, 104)  # tcpi_total_retrans of struct tcp_info in linux/tcp.h


def connect(address: tuple[str, int], seconds: float) -> tuple[socket.socket, int]:
    """Connect, but not for longer than that; return the socket and the error, 0 for none."""
    sock = socket.socket()
    sock.settimeout(seconds)
    try:
        sock.connect(address)
    except TimeoutError:
        return sock, errno.ETIMEDOUT
    except OSError as error:
        return sock, error.errno or -1
    return sock, 0


def crowd(backlog: int) -> tuple[int, int]:
    """Connect to one who never accepts until one does not come in; return how many did, and why."""
    with contextlib.ExitStack() as open_ones, socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(backlog)
        for number in range(backlog + 8):
            sock, error = connect(listener.getsockname(), PATIENCE_SECONDS)
            open_ones.enter_context(sock)
            if error:
                return number, error
    return backlog + 8, 0


def retransmits(sock: socket.socket) -> int:
    """Return how often the kernel has sent something of a socket again."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[TOTAL_RETRANSMITS], "little")


def syn_times(wanted: int) -> list[float]:
    """Return how long after its connect the SYN of one who finds no room is sent again."""
    with contextlib.ExitStack() as open_ones, socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(0)
        open_ones.enter_context(connect(listener.getsockname(), PATIENCE_SECONDS)[0])
        sock = open_ones.enter_context(socket.socket())
        sock.setblocking(False)
        start = time.monotonic()
        sock.connect_ex(listener.getsockname())
        times: list[float] = []
        while len(times) < wanted and time.monotonic() - start < 2.0 ** (wanted + 1):
            if retransmits(sock) > len(times):
                times.append(time.monotonic() - start)
            time.sleep(0.005)
    return times


def measure(lab: Lab) -> None:
    """Fill backlogs, then watch a SYN."""
    for backlog in lab.pick(BACKLOGS[:3], BACKLOGS, BACKLOGS, BACKLOGS):
        found = [crowd(backlog) for _ in range(lab.rounds)]
        case = f"listen({backlog})"
        lab.report(case, WAITING, "count", [number for number, _ in found])
        errors = [error for _, error in found]
        lab.report(case, NEXT_REFUSED, "yes", [each == errno.ECONNREFUSED for each in errors])
        lab.report(case, NEXT_WAITS, "yes", [each == errno.ETIMEDOUT for each in errors])
    for number, seconds in enumerate(syn_times(lab.pick(0, 1, 2, 3)), 1):
        lab.report(f"SYN, time {number}", AGAIN, "s", seconds)


def judge(found: Found) -> Verdict:
    """With listen(5) five wait and the sixth is refused or times out; a SYN goes out after 1 s."""
    parts = [exactly(found.of("listen(5)", WAITING), 5, "with listen(5) {} may wait")]
    if found.has("SYN, time 1", AGAIN):
        again = found.of("SYN, time 1", AGAIN)
        parts.append(between(again, 0.8, 1.3, "the SYN of the next is sent again after {}"))
    return all_of(parts)
