"""file-cost: what a file costs the server, beside the standard library's own.

One file. Per second of the server's CPU, how many MiB does each of them move?
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
from typing import NamedTuple

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least
from bench.measure import meter
from bench.measure.launch import Server
from bench.measure.placement import Placement, allowed_cpus, pinned, place
from clients.engine.exchange import file_content, file_name
from clients.transfer import client as transfer
from reports.serving import Serving
from servers import catalog

MIB = 2**20
TRANSFERS = 4  # of a round, after the first
HTTP = "http.server"
FIRST, LATER = "first time, per CPU second", "after that, per CPU second"
RATIO = "ratio"

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

    @property
    def case(self) -> str:
        """The comparison in words."""
        return f"{self.one} of {self.other}, {self.says}"


COMPARISONS = (
    Comparison(THREAD_GET, "later", HTTP_GET, "later", 0.8, "its digest remembered"),
    Comparison(ASYNCIO_GET, "later", HTTP_GET, "later", 0.6, "its digest remembered"),
    Comparison(THREAD_PUT, "later", THREAD_GET, "first", 0.5, "both hash every byte"),
    Comparison(THREAD_GET, "first", HTTP_GET, "first", 0.0, "one hashes every byte, one none"),
)

Costs = Mapping[Contender, Sequence[Cost]]


def measure(lab: Lab) -> None:
    """Measure in interleaved rounds, and take the ratios within each."""
    curl = shutil.which("curl")
    if not curl:
        lab.note("curl is not installed, and http.server is measured with it: apt-get install curl")
        return
    size = lab.pick(4, 16, 64, 64) * MIB
    cpus = place("split", allowed_cpus())
    costs: dict[Contender, list[Cost]] = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory(prefix="threadmill-") as folder:
        source = Path(folder) / file_name(size)
        with source.open("wb") as file:
            file.writelines(file_content(size))
        for number in range(lab.pick(1, 1, 5, 9)):
            lab.say(f"round {number + 1}")
            for contender, measured in costs.items():
                measured.append(cost(contender, source, cpus, curl))
    for each in COMPARISONS:
        lab.report(each.case, RATIO, "times", ratios(each, costs))
    for contender, measured in costs.items():
        lab.report(str(contender), FIRST, "MiB/s", [each.first for each in measured])
        lab.report(str(contender), LATER, "MiB/s", [each.later for each in measured])


def judge(found: Found) -> Verdict:
    """Each ratio that has an aim meets it."""
    return all_of(
        [
            at_least(found.of(each.case, RATIO), each.least, f"{each.case}: {{}}")
            for each in COMPARISONS
            if each.least
        ]
    )


def cost(contender: Contender, source: Path, cpus: Placement, curl: str) -> Cost:
    """Run one round of one contender."""
    serve = curled if contender.name == HTTP else ours
    with serve(contender, source, cpus, curl) as (pid, once), pinned(cpus.client):
        size = source.stat().st_size
        return Cost(rate(pid, once, size, 1), rate(pid, once, size, TRANSFERS))


def rate(pid: int, once: Once, size: int, times: int) -> float:
    """Return the MiB that the server moves per second of its CPU."""
    before = meter.settle(pid)
    for _ in range(times):
        once()
    used = meter.usage(before, meter.settle(pid))
    return size * times / MIB / used.cpu_seconds


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
            Serving(workers=model.workers),
            cpus=cpus.server,
            root=str(source.parent) if contender.verb == "GET" else folder,
        ) as server,
    ):
        server.wait_until_answering()
        there = server.host, server.port
        moves: dict[str, Once] = {
            "GET": lambda: _ignore(transfer.get(*there, source.name, Path(folder) / source.name)),
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
            yield (
                server.pid,
                lambda: _ignore(subprocess.run([*fetch, found[0] + source.name], check=True)),
            )
        finally:
            server.send_signal(signal.SIGTERM)


def ratios(comparison: Comparison, costs: Costs) -> list[float]:
    """Return how much one contender does of what the other does, within each round."""
    one, figure, other, other_figure, *_ = comparison
    return [
        getattr(mine, figure) / getattr(theirs, other_figure)
        for mine, theirs in zip(costs[one], costs[other], strict=True)
    ]
