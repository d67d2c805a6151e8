"""Every chart of a run, as PNG and SVG. A new chart is a module and a row here.

Drawing is what a report takes longest for, so the charts of many workloads are drawn by processes
of their own, a workload at a time: each is sent a Run and a Workload, and returns the images. What
they import takes a second, once for all of them and, where `prepare` is called, while the run is
still being read.
"""

from __future__ import annotations

__all__ = ["Chart", "charts_of", "prepare", "slug"]

import itertools
import os
import re
import signal
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, set_forkserver_preload
from multiprocessing.forkserver import ensure_running
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from reports.cells.interpreters import FIGURES
from reports.cells.report import Report
from reports.cells.workload import Workload
from reports.charts.company import company
from reports.charts.connection_cost import connection_cost as draw_connection_cost
from reports.charts.cores import cores
from reports.charts.datagrams import loss, sizes, transports
from reports.charts.fairness import fairness
from reports.charts.interpreters import interpreters, price
from reports.charts.overview import overview
from reports.charts.payload import payload
from reports.charts.percentiles import percentile_curves
from reports.charts.plane import plane
from reports.charts.scaling import scaling
from reports.charts.small_multiples import small_multiples
from reports.charts.style import RC, render
from reports.charts.timeline import timeline
from reports.record import Run
from reports.studies import company as company_study
from reports.studies import connection_cost, memory, udp, udp_loss, udp_size
from reports.studies import cores as cores_study
from reports.studies import plane as plane_study
from reports.studies import scaling as scaling_study
from reports.studies.registry import STUDIES

MOST_LETTERS = 120  # of the name of a file


class Chart(NamedTuple):
    """A finished chart."""

    name: str  # of its files, without a suffix
    scenario: str
    level: str  # empty: it spans several
    says: str  # what it shows, in words, for who cannot see it
    images: Mapping[str, bytes]  # by suffix: png, svg
    study: str = ""  # whose section it belongs to; empty: no study's


WORKLOAD_CHARTS: Mapping[str, tuple[Callable[[Run, Workload], Figure | None], str]] = {
    "overview": (overview, "throughput, latency, CPU per request and memory of each model"),
    "percentiles": (percentile_curves, "latency from p50 to p99.99"),
    "timeline": (timeline, "throughput and latency over one trial"),
    "fairness": (fairness, "requests per connection"),
}
"""What is drawn of each workload, in this order: by name, the function and what it shows."""

STUDY_CHARTS: Mapping[str, tuple[Callable[[Report], Figure | None], str]] = {
    connection_cost.NAME: (draw_connection_cost, "CPU of a connection beyond serial's"),
    scaling_study.NAME: (small_multiples, "figures against connections, a family in each row"),
    cores_study.NAME: (cores, "speed-up over the CPUs of the server, against the ideal"),
    plane_study.NAME: (plane, "p99 of the response time against the rate achieved"),
    company_study.NAME: (company, "p99 of small requests against the company they are in"),
    memory.NAME: (payload, "memory by payload and connections"),
    udp.NAME: (transports, "CPU and throughput of each model over UDP and over TCP"),
    udp_loss.NAME: (loss, "the share of datagrams that is lost against the rate"),
    udp_size.NAME: (sizes, "CPU per datagram against its payload"),
}
"""What is drawn of a study, beside the charts of its ladder: the function, and what it shows."""

FEW_WORKLOADS = 2  # are drawn sooner than other processes start
MOST_PROCESSES = 4  # each takes some 150 MiB


def charts_of(report: Report) -> Iterator[Chart]:
    """Draw one chart after the other; those that the figures do not suffice for are left out.

    Each has a name of its own, also where words differ in nothing that a file's name has.
    """
    names: set[str] = set()
    for chart in _all_of(report):
        own = next(name for name in _numbered(chart.name) if name not in names)
        names.add(own)
        yield chart._replace(name=own)


def _numbered(name: str) -> Iterator[str]:
    """Give a name, and then the same name with a number: two and on."""
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _all_of(report: Report) -> Iterator[Chart]:
    within = {
        rung for ladder in report.ladders if ladder.axis.alone for rung in map(id, ladder.workloads)
    }
    drawn = [workload for workload in report.workloads if id(workload) not in within]
    processes = min(len(os.sched_getaffinity(0)), MOST_PROCESSES, len(drawn))
    if processes < 2 or len(drawn) <= FEW_WORKLOADS:
        for workload in drawn:
            yield from _charts(report.run, workload)
    else:
        yield from _drawn_beside(report.run, drawn, processes)
    for ladder in report.ladders:
        file = slug(ladder.scenario, ladder.load, f"by-{ladder.axis.field}")
        says = f"{ladder.scenario}, {ladder.load}: figures against the {ladder.axis.title}"
        if images := _images(file, partial(scaling, report.run, ladder)):
            study = ladder.scenario if ladder.scenario in STUDIES else ""
            yield Chart(file, ladder.scenario, "", says, images, study)
    for name, (draw, says) in STUDY_CHARTS.items():
        file = slug("study", name)
        if images := _images(file, partial(draw, report)):
            yield Chart(file, name, "", f"{name}: {says}", images, name)
    says = "what a GIL costs, its end, and what the end costs, under each interpreter"
    if images := _images("interpreters-price", partial(price, report.run, report.interpreters)):
        yield Chart("interpreters-price", "interpreters", "", says, images, "interpreters")
    for metric in FIGURES:
        file = slug("interpreters", metric.name)
        says = f"{metric.title} under each interpreter, as a ratio to the first"
        matrices = report.interpreters.by(metric)
        if images := _images(file, partial(interpreters, report.run, matrices)):
            yield Chart(file, "interpreters", "", says, images, "interpreters")


def prepare() -> None:
    """Let the processes that draw import what they need, beside whatever the caller does next."""
    if len(os.sched_getaffinity(0)) > 1:
        set_forkserver_preload([__name__])
        ensure_running()


def _drawn_beside(run: Run, workloads: Sequence[Workload], processes: int) -> Iterator[Chart]:
    """Draw in other processes.

    They are forks of a server that has imported this module and has no thread: a fork of this
    process would copy the locks of the terminal's thread. Ctrl-C reaches all processes of a
    terminal, and is for the first of them to answer.
    """
    prepare()
    pool = ProcessPoolExecutor(
        processes, get_context("forkserver"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )
    try:
        for charts in pool.map(partial(_all_charts, run), workloads):
            yield from charts
    finally:
        pool.shutdown(cancel_futures=True)


def _all_charts(run: Run, workload: Workload) -> list[Chart]:
    return list(_charts(run, workload))


def _charts(run: Run, workload: Workload) -> Iterator[Chart]:
    for name, (draw, says) in WORKLOAD_CHARTS.items():
        file = slug(workload.scenario, workload.level, name)
        if images := _images(file, partial(draw, run, workload)):
            where = f"{workload.scenario}, {workload.level}"
            yield Chart(file, workload.scenario, workload.level, f"{where}: {says}", images)


def slug(*words: str) -> str:
    """Return words as a file name: lower case, hyphens between, nothing that a shell minds."""
    found = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower().replace(",", "")).strip("-")
    # A file system takes 255 letters, and a name of a foreign run may have more.
    cut = found[:MOST_LETTERS]
    return found if found == cut else f"{cut}-{zlib.crc32(found.encode()):08x}"


def _images(name: str, draw: Callable[[], Figure | None]) -> dict[str, bytes]:
    with rc_context(RC):
        figure = draw()
        return render(figure, name) if figure else {}
