"""What a file costs the server, beside the standard library's own: `make bench-files`.

One file of 64 MiB. Per second of the server's CPU, how many MiB does each of them move?
`python -m http.server`, fetched by curl, is what everybody has; our models serve and take the file
by docs/wire.md, every byte hashed by our client and its digest compared.

A server of ours hashes a file when it is asked for it for the first time, and remembers the digest
(docs/wire.md); http.server never hashes. Hence two figures: the first transfer of a fresh server,
and those after it. An upload is hashed each time, so it is compared with the first of the fetches.

Each round has a fresh server. The rounds are interleaved and the figures are medians over them,
because the speed of a shared machine drifts; ratios are taken within each round.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.measure import meter
from bench.measure.launch import Server
from bench.measure.placement import Placement, allowed_cpus, pinned, place
from clients.engine.exchange import file_content, file_name
from clients.transfer import client as transfer
from servers import catalog

MIB = 2**20
SIZE = 64 * MIB
ROUNDS = 5
TRANSFERS = 4  # of a round, after the first
HTTP = "http.server"
NAME = file_name(SIZE)

Once = Callable[[], None]
"""Moves the file once."""


class Contender(NamedTuple):
    """Who moves the file, and which way."""

    name: str
    verb: str

    def __str__(self) -> str:
        return f"{self.name} {self.verb}"


HTTP_GET = Contender(HTTP, "GET")
THREAD_GET = Contender("thread", "GET")
ASYNCIO_GET = Contender("asyncio", "GET")
THREAD_PUT = Contender("thread", "PUT")
CONTENDERS = (HTTP_GET, THREAD_GET, ASYNCIO_GET, Contender("coroutine", "GET"), THREAD_PUT)


class Cost(NamedTuple):
    """One round of one contender, in MiB per second of the server's CPU."""

    first: float
    later: float


class Comparison(NamedTuple):
    """One contender beside another, with the least ratio that is aimed at (0: none)."""

    one: Contender
    figure: str  # of a Cost
    other: Contender
    other_figure: str
    least: float
    says: str


COMPARISONS = (
    Comparison(THREAD_GET, "later", HTTP_GET, "later", 0.8, "its digest remembered"),
    Comparison(ASYNCIO_GET, "later", HTTP_GET, "later", 0.6, "its digest remembered"),
    Comparison(THREAD_PUT, "later", THREAD_GET, "first", 0.5, "both hash every byte"),
    Comparison(THREAD_GET, "first", HTTP_GET, "first", 0.0, "one hashes every byte, one none"),
)

Costs = Mapping[Contender, Sequence[Cost]]


def main() -> int:
    """Measure, print the tables, and return 1 when an aim is missed."""
    curl = shutil.which("curl")
    if not curl:
        print(
            "curl is not installed, and python -m http.server is measured with it:"
            " apt-get install curl",
            file=sys.stderr,
        )
        return 3
    cpus = place("split", allowed_cpus())
    costs: dict[Contender, list[Cost]] = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory(prefix="threadmill-") as folder:
        source = Path(folder) / NAME
        with source.open("wb") as file:
            file.writelines(file_content(SIZE))
        for number in range(ROUNDS):
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {ROUNDS}", end="", file=sys.stderr, flush=True)
            for contender, measured in costs.items():
                measured.append(cost(contender, source, cpus, curl))
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    console = Console()
    console.print(figures(costs))
    console.print(comparisons(costs))
    return int(any(ratio(each, costs) < each.least for each in COMPARISONS))


def cost(contender: Contender, source: Path, cpus: Placement, curl: str) -> Cost:
    """Run one round of one contender."""
    serve = curled if contender.name == HTTP else ours
    with serve(contender, source, cpus, curl) as (pid, once), pinned(cpus.client):
        return Cost(rate(pid, once, 1), rate(pid, once, TRANSFERS))


def rate(pid: int, once: Once, times: int) -> float:
    """Return the MiB that the server moves per second of its CPU."""
    before = meter.settle(pid)
    for _ in range(times):
        once()
    used = meter.usage(before, meter.settle(pid))
    return SIZE * times / MIB / used.cpu_seconds


@contextlib.contextmanager
def ours(
    contender: Contender, source: Path, cpus: Placement, _curl: str
) -> Iterator[tuple[int, Once]]:
    """Serve with a model; gives the server's process id, and what moves the file once."""
    model = catalog.find(contender.name)
    with (
        tempfile.TemporaryDirectory(prefix="threadmill-") as folder,
        Server(
            model,
            workers=model.workers,
            cpus=cpus.server,
            root=str(source.parent) if contender.verb == "GET" else folder,
        ) as server,
    ):
        server.wait_until_answering()
        there = server.host, server.port
        moves: dict[str, Once] = {
            "GET": lambda: _ignore(transfer.get(*there, NAME, Path(folder) / NAME)),
            "PUT": lambda: _ignore(transfer.put(*there, source)),
        }
        yield server.pid, moves[contender.verb]


def _ignore(_: object) -> None:
    pass


@contextlib.contextmanager
def curled(
    _contender: Contender, source: Path, cpus: Placement, curl: str
) -> Iterator[tuple[int, Once]]:
    """Serve with http.server, and fetch with curl, which throws the bytes away."""
    command = [sys.executable, "-u", "-m", HTTP, "0", "--bind", "127.0.0.1"]
    with (
        pinned(cpus.server),
        subprocess.Popen(
            [*command, "--directory", str(source.parent)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a line per request
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None  # it was opened as a pipe
            found = re.search(r"http://[\d.]+:\d+/", server.stdout.readline())
            assert found, f"{HTTP} did not say where it is"
            fetch = [curl, "--silent", "--show-error", "--fail", "--output", "/dev/null"]
            yield server.pid, lambda: _ignore(subprocess.run([*fetch, found[0] + NAME], check=True))
        finally:
            server.send_signal(signal.SIGTERM)


def figures(costs: Costs) -> Table:
    """Return the medians of each contender."""
    table = Table(title=f"MiB per CPU second of the server, {SIZE // MIB} MiB")
    table.add_column("server")
    for heading in ("first time", "after that"):
        table.add_column(heading, justify="right")
    for contender, measured in costs.items():
        first, later = (median(figure) for figure in zip(*measured, strict=True))
        table.add_row(str(contender), f"{first:,.0f}", f"{later:,.0f}")
    return table


def comparisons(costs: Costs) -> Table:
    """Return the ratios, and whether each is what was aimed at."""
    table = Table(title="Ratios, each within a round", show_header=False)
    for each in COMPARISONS:
        found = ratio(each, costs)
        verdict = "met" if found >= each.least else "MISSED"
        aim = f"aim {each.least}: {verdict}" if each.least else "no aim"
        table.add_row(str(each.one), f"{found:.2f} of {each.other}", each.says, aim)
    return table


def ratio(comparison: Comparison, costs: Costs) -> float:
    """Return the median over the rounds of how much one contender does of what the other does."""
    one, figure, other, other_figure, *_ = comparison
    ratios: list[float] = [
        getattr(mine, figure) / getattr(theirs, other_figure)
        for mine, theirs in zip(costs[one], costs[other], strict=True)
    ]
    return median(ratios)


if __name__ == "__main__":
    sys.exit(main())
