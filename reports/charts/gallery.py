"""Every chart of a run, as PNG and SVG. A new chart is a module and a row here."""

from __future__ import annotations

__all__ = ["Chart", "charts_of", "slug"]

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from reports.cells.report import Report
from reports.cells.workload import Workload
from reports.charts.fairness import fairness
from reports.charts.overview import overview
from reports.charts.percentiles import percentile_curves
from reports.charts.scaling import scaling
from reports.charts.style import RC, render
from reports.charts.timeline import timeline

MOST_LETTERS = 120  # of the name of a file


class Chart(NamedTuple):
    """A finished chart."""

    name: str  # of its files, without a suffix
    scenario: str
    level: str  # empty: it spans several
    says: str  # what it shows, in words, for who cannot see it
    images: Mapping[str, bytes]  # by suffix: png, svg


WORKLOAD_CHARTS: Mapping[str, tuple[Callable[[Report, Workload], Figure | None], str]] = {
    "overview": (overview, "throughput, latency, CPU per request and memory of each model"),
    "percentiles": (percentile_curves, "latency from p50 to p99.99"),
    "timeline": (timeline, "throughput and latency over one trial"),
    "fairness": (fairness, "requests per connection"),
}
"""What is drawn of each workload, in this order: by name, the function and what it shows."""


def charts_of(report: Report) -> Iterator[Chart]:
    """Draw one chart after the other; those that the figures do not suffice for are left out."""
    within = {
        rung for ladder in report.ladders if ladder.axis.alone for rung in map(id, ladder.workloads)
    }
    for workload in report.workloads:
        if id(workload) in within:
            continue
        for name, (draw, says) in WORKLOAD_CHARTS.items():
            file = slug(workload.scenario, workload.level, name)
            if images := _images(file, partial(draw, report, workload)):
                where = f"{workload.scenario}, {workload.level}"
                yield Chart(file, workload.scenario, workload.level, f"{where}: {says}", images)
    for ladder in report.ladders:
        file = slug(ladder.scenario, ladder.load, f"by-{ladder.axis.field}")
        says = f"{ladder.scenario}, {ladder.load}: figures against the {ladder.axis.title}"
        if images := _images(file, partial(scaling, report, ladder)):
            yield Chart(file, ladder.scenario, "", says, images)


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
