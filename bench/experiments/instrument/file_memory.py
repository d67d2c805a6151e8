"""file-memory: what a large file moves in a server's memory.

A sparse file, 2 GiB with full effort, is fetched twice (read and hashed at first, then sent by the
kernel) and put back once, for each model. While it moves, the memory of the server's whole tree is
read every 20 ms; the table shows how far its peak was above what the server held before, when it
had answered one request. The bound is 8 MiB.

The client works in pieces of 256 KiB and verifies the digest, both ways. What is fetched is thrown
away; what is put needs room for the file in the folder for temporary files.
"""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from bench.experiments.figures import Found
from bench.experiments.instrument.models import shown
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_most
from bench.measure import meter
from bench.measure.launch import Server
from bench.measure.placement import allowed_cpus
from clients.transfer import client as transfer
from clients.transfer.discard import fetch
from reports.serving import Serving
from servers import catalog

MIB = 2**20
SIZE_MIB = 2048
BOUND_MIB = 8
WORKERS = 8  # of a pool: of 64 processes, a reading would take longer than the interval
SAMPLE_SECONDS = 0.02
PATIENCE_SECONDS = 300.0  # the server syncs a file before it answers
TRANSFERS = ("GET, hashing", "GET by the kernel", "PUT")


class Sampler:
    """Reads the memory of a server's tree, but not more often than SAMPLE_SECONDS."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._next = 0.0
        self.peak = 0
        self.samples = 0

    def __call__(self, *_: int) -> None:
        """Read it, if it is time."""
        if time.monotonic() >= self._next:
            self.peak = max(self.peak, meter.footprint(self._pid).pss_bytes)
            self.samples += 1
            self._next = time.monotonic() + SAMPLE_SECONDS


def measure(lab: Lab) -> None:
    """Move one file through each model."""
    size = lab.pick(8, 32, 256, SIZE_MIB) * MIB
    for model in shown(lab):
        lab.say(model.name)
        before, grown, samples = measured(model, size)
        for transfer_name, growth in zip(TRANSFERS, grown, strict=True):
            # A tree that shrank has grown by nothing.
            lab.report(model.name, transfer_name, "MiB", max(0.0, growth))
        lab.report(model.name, "before", "MiB", before)
        lab.report(model.name, "samples", "count", samples)


def judge(found: Found) -> Verdict:
    """No transfer moves the peak by the bound or more."""
    rows = [row for name in TRANSFERS for row in found.cases(name)]
    worst = max(rows, key=lambda row: row.value)
    return at_most(worst, BOUND_MIB, f"the most, {worst.case}'s {worst.figure}, is {{}}")


def measured(model: catalog.Model, size: int) -> tuple[float, list[float], int]:
    """Return what a fresh server holds, by how much each transfer moved it, and the samples."""
    workers = WORKERS if model.workers else 0
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original"
        with original.open("wb") as file:
            file.truncate(size)
        with Server(model, Serving(workers=workers), cpus=allowed_cpus(), root=folder) as server:
            server.wait_until_answering()
            base = meter.footprint(server.pid).pss_bytes
            samplers = [Sampler(server.pid) for _ in TRANSFERS]
            # One connection for both fetches: a process that serves no other has to remember.
            with socket.create_connection((server.host, server.port), PATIENCE_SECONDS) as sock:
                for sampler in samplers[:2]:
                    fetch(sock, original.name, sampler)
            transfer.put(
                server.host,
                server.port,
                original,
                "copy",
                idle_seconds=PATIENCE_SECONDS,
                progress=samplers[2],
            )
    grown = [(sampler.peak - base) / MIB for sampler in samplers]
    return base / MIB, grown, sum(sampler.samples for sampler in samplers)
