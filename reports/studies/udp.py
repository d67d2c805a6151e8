"""UDP beside TCP: one request of 64 B over each, and what the difference buys and loses."""

from __future__ import annotations

__all__ = ["NAME", "beside", "section"]

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU, LOST, P99, THROUGHPUT, Metric
from reports.studies.section import Row, Section, Table, named
from reports.units import number, ratio

NAME = "udp"
ECHOES = {"udp": "udp-echo", "tcp": "echo"}
"""By transport, the scenario that is compared."""


def beside(report: Report) -> dict[str, Workload]:
    """Return the two workloads by transport, alike but for that; empty without both."""
    for datagrams in named(report, ECHOES["udp"]):
        for stream in named(report, ECHOES["tcp"]):
            if _asked(stream) == _asked(datagrams):
                return {"udp": datagrams, "tcp": stream}
    return {}


def _asked(workload: Workload) -> tuple[int, int, str]:
    load = workload.load
    return load.connections, load.size_bytes, workload.asked.serving.placement


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    found = beside(report)
    if not found:
        return None
    columns = (THROUGHPUT, P99, CPU, LOST)
    rows = [
        Row(cell.subject, cell.model, (transport.upper(), *map(cell.write, columns)))
        for transport, workload in found.items()
        for cell in workload.ranking
        if cell.trials
    ]
    headings = (f"{each.title}, {each.unit}".removesuffix(", ") for each in columns)
    return Section(
        name=NAME,
        title="UDP beside TCP",
        asks="What does a request cost without a connection?",
        finding=_finding(found),
        tables=(
            Table("64 B to and fro; medians over trials", ("Model", "over", *headings), (*rows,)),
        ),
        notes=(
            "A flow is a connected socket of the generator: it stands where a connection does.",
            "Nothing sends a lost datagram again; over TCP that is the kernel\u2019s work, and in"
            " the figures.",
        ),
    )


def _finding(found: dict[str, Workload]) -> str:
    least = {transport: _least(workload, CPU) for transport, workload in found.items()}
    datagrams, stream = least["udp"], least["tcp"]
    if not (datagrams and stream):
        return "No model of each answered every request."
    ours, theirs = (cell.figures[CPU.name].value for cell in (datagrams, stream))
    lost = sum(cell.errors.get("lost", 0) for cell in found["udp"].cells)
    buys = "saves" if ours < theirs else "costs"
    return (
        f"Without a connection a request {buys} {number(abs(theirs - ours))} us of the"
        f" server\u2019s CPU ({number(ours)} us with {datagrams.subject}, {number(theirs)}"
        f" with {stream.subject}: {ratio(ours / theirs)} of it), and what it loses is every"
        f" promise: order, once and no more, and arrival ({lost:,} requests were lost here)."
    )


def _least(workload: Workload, metric: Metric) -> Cell | None:
    cells = [cell for cell in workload.cells if cell.ranked and metric.name in cell.figures]
    return min(cells, key=lambda cell: cell.figures[metric.name].value, default=None)
