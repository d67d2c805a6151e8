"""receive-buffer: what asyncio pays for a fresh buffer with each receive, and when it stops paying.

A Protocol's transport receives into 256 KiB that malloc takes from the kernel, by mmap, each time:
a page fault for every page that is touched, and a system call to give it back. A stream's end is
the first receive that gives back all of such a block at once; glibc then raises its threshold for
mmap (mallopt(3), M_MMAP_THRESHOLD), and later buffers come from memory that is there.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.experiments.figures import Found, ratio
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_least
from bench.measure import meter

SERVER = """
import asyncio, sys

class Plain(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

class Buffered(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, bytearray(65536)

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, count):
        self.transport.write(bytes(self.buffer[:count]))

async def main():
    loop = asyncio.get_running_loop()
    kind = {"plain": Plain, "buffered": Buffered}[sys.argv[1]]
    server = await loop.create_server(kind, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""

BEFORE, AFTER = "Protocol, before the first end", "Protocol, after it"
CPU, FAULTS = "CPU of a request", "page faults of a request"
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "4194304"}
READY_SECONDS = 20.0


@contextmanager
def serving(kind: str, environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Run the server; gives its process id and its port. The end of its input ends it."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", SERVER, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert select.select([process.stdout], [], [], READY_SECONDS)[0], "it is not ready"
            yield process.pid, int(process.stdout.readline())
        finally:
            process.stdin.close()


def requests(pid: int, sock: socket.socket, number: int) -> tuple[float, float]:
    """Make round trips; return the server's CPU and page faults for each."""
    before = meter.settle(pid)
    for _ in range(number):
        sock.send(b"x" * 64)
        sock.recv(64)
    used = meter.usage(before, meter.settle(pid))
    return used.cpu_seconds / number, used.minor_faults / number


def measure(lab: Lab) -> None:
    """Measure each server on a connection that stays, before and after another one has ended."""
    number = lab.pick(300, 3_000, 10_000, 30_000)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(lab.rounds):
        for kind, environment, name in (
            ("plain", {}, "Protocol"),
            ("buffered", {}, "BufferedProtocol"),
            ("plain", MALLOC, "Protocol, malloc's thresholds raised"),
        ):
            with serving(kind, environment) as (pid, port):
                address = ("127.0.0.1", port)
                with socket.create_connection(address) as sock:
                    requests(pid, sock, 50)  # what happens once is not a request's
                    first = requests(pid, sock, number)
                    with socket.create_connection(address) as other:
                        requests(pid, other, 1)
                    requests(pid, sock, 50)  # in which the end of the other is seen
                    second = requests(pid, sock, number)
            found.setdefault(f"{name}, before the first end", []).append(first)
            found.setdefault(f"{name}, after it", []).append(second)
    for case, rounds in found.items():
        lab.report(case, CPU, "s", [each for each, _ in rounds])
        lab.report(case, FAULTS, "count", [each for _, each in rounds])


def judge(found: Found) -> Verdict:
    """Before its first end of stream asyncio pays about twice as much for a request."""
    paid = ratio(found.of(BEFORE, CPU), found.of(AFTER, CPU))
    return at_least(paid, 1.4, "before its first end of stream a request costs {} times as much")
