"""four-ways: the same waits, synchronous or not, blocking or not."""

from __future__ import annotations

import inspect
import multiprocessing
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_most

FORK: Any = multiprocessing.get_context("fork")
SYNC_BLOCKING, SYNC_NOT = "sync, blocking", "sync, non-blocking"
ASYNC_BLOCKING, ASYNC_NOT = "async, blocking", "async, non-blocking"
ELAPSED, CPU, LINES = "elapsed", "CPU", "lines of code"


def sync_blocking(socks: Sequence[socket.socket]) -> None:
    """Ask and sleep until the answer is there, one after another."""
    for sock in socks:
        sock.send(b"?")
        sock.recv(1)


def sync_non_blocking(socks: Sequence[socket.socket]) -> None:
    """Ask, and look again and again whether the answer is there, one after another."""
    for sock in socks:
        sock.setblocking(False)
        sock.send(b"?")
        while True:
            try:
                sock.recv(1)
                break
            except BlockingIOError:
                continue


def async_blocking(socks: Sequence[socket.socket]) -> None:
    """Have somebody wait for each: threads that sleep."""

    def ask(sock: socket.socket) -> None:
        sock.send(b"?")
        sock.recv(1)

    threads = [threading.Thread(target=ask, args=(sock,)) for sock in socks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def async_non_blocking(socks: Sequence[socket.socket]) -> None:
    """Ask all, and be told of each answer."""
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            sock.setblocking(False)
            sock.send(b"?")
            selector.register(sock, selectors.EVENT_READ, sock)
        left = len(socks)
        while left:
            for key, _ in selector.select():
                key.data.recv(1)
                selector.unregister(key.fileobj)
                left -= 1


WAYS: dict[str, Callable[[Sequence[socket.socket]], None]] = {
    SYNC_BLOCKING: sync_blocking,
    SYNC_NOT: sync_non_blocking,
    ASYNC_BLOCKING: async_blocking,
    ASYNC_NOT: async_non_blocking,
}


def answer(socks: Sequence[socket.socket], seconds: float) -> None:
    """Answer each question after so many seconds, until all peers are gone, in a process."""
    selector = selectors.DefaultSelector()
    for sock in socks:
        selector.register(sock, selectors.EVENT_READ, sock)
    due: deque[tuple[float, socket.socket]] = deque()
    while selector.get_map() or due:
        until = max(0.0, due[0][0] - time.monotonic()) if due else None
        for key, _ in selector.select(until):
            sock = key.data
            if sock.recv(1):
                due.append((time.monotonic() + seconds, sock))
            else:
                selector.unregister(sock)
        while due and due[0][0] <= time.monotonic():
            due.popleft()[1].send(b"!")


def run(
    way: Callable[[Sequence[socket.socket]], None], waits: int, seconds: float
) -> tuple[float, float]:
    """Return the time and the CPU of this process, all threads included."""
    pairs = [socket.socketpair() for _ in range(waits)]
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]

    def serve() -> None:
        for sock in ours:
            sock.close()
        answer(theirs, seconds)

    server = FORK.Process(target=serve)
    server.start()
    for sock in theirs:
        sock.close()
    start, cpu = time.perf_counter(), time.process_time()
    way(ours)
    found = time.perf_counter() - start, time.process_time() - cpu
    for sock in ours:
        sock.close()
    server.join()
    return found


def lines_of(way: Callable[..., object]) -> int:
    """Return how many lines of code a way has, without its docstring."""
    lines = [line for line in inspect.getsource(way).splitlines()[2:] if line.strip()]
    return len(lines) + 1


def measure(lab: Lab) -> None:
    """Wait in each way."""
    waits, seconds = lab.pick((10, 0.005), (100, 0.005), (100, 0.01), (100, 0.05))
    for name, way in WAYS.items():
        found = [run(way, waits, seconds) for _ in range(lab.rounds)]
        lab.report(name, ELAPSED, "s", [each for each, _ in found])
        lab.report(name, CPU, "s", [each for _, each in found])
        lab.report(name, LINES, "count", lines_of(way))


def judge(found: Found) -> Verdict:
    """Async non-blocking is the most efficient: as fast as threads, with the least CPU of both."""
    best = found.of(ASYNC_NOT, ELAPSED)
    return all_of(
        [
            at_most(
                ratio(best, found.of(SYNC_BLOCKING, ELAPSED)),
                0.5,
                "async non-blocking takes {} of the time of sync blocking",
            ),
            at_most(
                ratio(found.of(ASYNC_NOT, CPU), found.of(ASYNC_BLOCKING, CPU)),
                1,
                "it uses {} of the CPU of threads that block",
            ),
            at_most(
                ratio(found.of(ASYNC_NOT, CPU), found.of(SYNC_NOT, CPU)),
                0.5,
                "it uses {} of the CPU of looking again and again",
            ),
        ]
    )
