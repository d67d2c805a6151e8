"""reuseport: how evenly connections spread over workers that share a socket, or have one each."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, at_most

FORK: Any = multiprocessing.get_context("fork")
WORKERS = 4
SHARED, OWN = "one socket, shared", "SO_REUSEPORT, one each"
NUMBERS = (8, 64, 1_024)


def listening(port: int, *, own: bool) -> socket.socket:
    """Return a socket that listens; with `own` others may listen there as well."""
    listener = socket.socket()
    if own:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1_024)
    return listener


def work(listener: socket.socket, counts: Any, number: int, ready: Any) -> None:
    """Accept, count, and answer each with a byte; the connection is kept."""
    kept = []
    ready.release()
    while True:
        connection, _ = listener.accept()
        counts[number] += 1
        kept.append(connection)
        connection.send(b".")


@contextmanager
def workers(*, own: bool) -> Iterator[tuple[int, Any]]:
    """Run them; gives their port, and how many each has accepted."""
    first = listening(0, own=own)
    port = first.getsockname()[1]
    listeners = (
        [first, *(listening(port, own=True) for _ in range(WORKERS - 1))]
        if own
        else [first] * WORKERS
    )
    counts, ready = FORK.Array("i", WORKERS, lock=False), FORK.Semaphore(0)
    crowd = [
        FORK.Process(target=work, args=(listener, counts, number, ready))
        for number, listener in enumerate(listeners)
    ]
    try:
        for each in crowd:
            each.start()
        for listener in {id(each): each for each in listeners}.values():
            listener.close()  # ours: a connection must not be left to one who does not accept
        for _ in crowd:
            ready.acquire()
        yield port, counts
    finally:
        for each in crowd:
            each.kill()
            each.join()


def spread(number: int, *, own: bool) -> list[int]:
    """Open so many connections one after another; return how many each worker got."""
    with workers(own=own) as (port, counts):
        kept = []
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", port))
            kept.append(connection)
            connection.recv(1)
        found = list(counts)
        for connection in kept:
            connection.close()
    return found


def jain(counts: list[int]) -> float:
    """Return Jain's index: 1 when all have the same, 1/n when one has all (docs/method.md)."""
    return sum(counts) ** 2 / (len(counts) * sum(count**2 for count in counts))


def measure(lab: Lab) -> None:
    """Spread 8 to 1,024 connections in both ways."""
    # PyPy cannot be asked which CPUs it may use.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lab.note(f"{WORKERS} workers on {cpus} CPUs")
    for number in lab.pick(NUMBERS[:2], NUMBERS, NUMBERS, NUMBERS):
        for name, own in {SHARED: False, OWN: True}.items():
            found = [spread(number, own=own) for _ in range(max(2, lab.rounds))]
            case = f"{number:,}, {name}"
            lab.report(case, "Jain's index", "share", [jain(each) for each in found])
            lab.report(
                case, "the busiest worker's", "share", [max(each) / number for each in found]
            )


def judge(found: Found) -> Verdict:
    """Each with its own socket is even with many connections and uneven with few."""
    index = "Jain's index"
    return all_of(
        [
            at_least(
                found.of(f"1,024, {OWN}", index), 0.95, "with 1,024 connections Jain's index is {}"
            ),
            at_most(found.of(f"8, {OWN}", index), 0.97, "with 8 it is {}"),
        ]
    )
