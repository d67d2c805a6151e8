"""digest: what checking a file costs while it is sent."""

from __future__ import annotations

import functools
import hashlib
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab, cost
from bench.experiments.rules import Verdict, all_of, at_least, at_most
from bench.experiments.sockets.ends import pair

PIECE_BYTES = 65_536
NONE, MD5 = "no digest", "MD5"
RATE, CPU = "sent and checked", "CPU per MiB"

DIGESTS: dict[str, Callable[[], Any] | None] = {
    NONE: None,
    MD5: lambda: hashlib.md5(usedforsecurity=False),
    "SHA-1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-512": hashlib.sha512,
    "BLAKE2b": hashlib.blake2b,
    "BLAKE2s": hashlib.blake2s,
}


def send(sock: socket.socket, path: str, make: Callable[[], Any] | None) -> str:
    """Send a file piece by piece; return its digest, which the receiver compares."""
    digest = make() if make else None
    with Path(path).open("rb", buffering=0) as file:
        while data := file.read(PIECE_BYTES):
            if digest:
                digest.update(data)
            sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    return str(digest.hexdigest()) if digest else ""


def receive(sock: socket.socket, make: Callable[[], Any] | None, result: list[str]) -> None:
    """Receive a file, and say its digest."""
    digest = make() if make else None
    while data := sock.recv(PIECE_BYTES):
        if digest:
            digest.update(data)
    result.append(str(digest.hexdigest()) if digest else "")


def transfer(path: str, make: Callable[[], Any] | None) -> bool:
    """Send and check; return whether the digests agree."""
    one, other = pair()
    result: list[str] = []
    with one, other:
        thread = threading.Thread(target=receive, args=(other, make, result))
        thread.start()
        sent = send(one, path, make)
        thread.join()
    return sent == result[0]


def measure(lab: Lab) -> None:
    """Transfer a file with each digest, in interleaved rounds."""
    mebibytes = lab.pick(1, 8, 32, 256)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in DIGESTS}
    with tempfile.NamedTemporaryFile(prefix="threadmill-") as file:
        for _ in range(mebibytes):
            file.write(bytes(range(256)) * 4096)
        file.flush()
        for _ in range(lab.rounds):
            for name, make in DIGESTS.items():
                taken = cost(functools.partial(transfer, file.name, make))
                found[name].append((mebibytes / taken.seconds, taken.cpu_seconds / mebibytes))
        agree = [transfer(file.name, make) for make in DIGESTS.values()]
    for name, rounds in found.items():
        lab.report(name, CPU, "s", [each for _, each in rounds])
        lab.report(name, RATE, "MiB/s", [each for each, _ in rounds])
    lab.report("all of them", "both ends agree", "yes", [float(each) for each in agree])


def judge(found: Found) -> Verdict:
    """Checking costs more than sending, and MD5, the course's, is the cheapest check."""
    digests = [row for row in found.cases(CPU) if row.case not in (NONE, MD5)]
    cheapest = min(digests, key=lambda row: row.value) if digests else found.of("SHA-256", CPU)
    return all_of(
        [
            at_least(
                ratio(found.of(MD5, CPU), found.of(NONE, CPU)),
                1.2,
                "with MD5 a MiB takes {} times the CPU",
            ),
            at_most(
                ratio(found.of(MD5, CPU), cheapest),
                1.0,
                f"MD5 takes {{}} of the CPU of {cheapest.case}, the cheapest of the others",
            ),
        ]
    )
