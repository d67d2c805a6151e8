"""Loss: what share of the requests is lost at a rate, by model and receive buffer; and by whom."""

from __future__ import annotations

__all__ = ["NAME", "Count", "buffers_of", "count_of", "section"]

from collections.abc import Iterable
from typing import NamedTuple

from reports.cells.ladders import Axis, Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import LOST
from reports.studies.section import Row, Section, Table, cell_at, ladders_named, subjects_of
from reports.units import MISSING, percent

NAME = "udp-loss"
AXIS = Axis("rate", "rate", "rate offered, requests/s", r"/s$", ())
AGREED = 0.01


class Count(NamedTuple):
    """Requests that came to nothing: as the generator counts them, and as the kernel does."""

    ours: int  # lost, less those whose answers came late
    kernels: int  # datagrams without room in a socket's buffer, on either side (RcvbufErrors)
    servers: int  # of these, those in the server's own sockets (sk_drops)

    @property
    def apart(self) -> float:
        """By how much ours is off, as a share of the kernel's; of none, any difference is all.

        The truth is between the kernel's two counts: sk_drops has not what the generator's sockets
        had no room for, and RcvbufErrors has what any other socket on the machine had none for.
        """
        off = max(self.servers - self.ours, self.ours - self.kernels, 0)
        return off / (self.kernels or max(self.ours, 1))


def count_of(cells: Iterable[Cell]) -> Count:
    """Add up over all trials."""
    samples = [trial.sample for cell in cells for trial in cell.trials]
    return Count(
        sum(s.tally.errors.get("lost", 0) - s.tally.errors.get("late", 0) for s in samples),
        sum(
            s.kernel.get("RcvbufErrors", 0) + s.kernel.get("server_RcvbufErrors", 0)
            for s in samples
        ),
        sum(s.kernel.get("server_sk_drops", 0) for s in samples),
    )


def buffers_of(report: Report) -> list[Ladder]:
    """Return the rates with each receive buffer, the smallest buffer first."""
    ladders = ladders_named(report, NAME, AXIS)
    return sorted(ladders, key=lambda ladder: ladder.workloads[0].asked.serving.receive_buffer)


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    ladders = buffers_of(report)
    if not ladders:
        return None
    return Section(
        name=NAME,
        title="Loss",
        asks="What is lost at a rate, and does the kernel say the same?",
        finding=_finding(ladders),
        tables=tuple(map(_table, ladders)),
        notes=(
            "Lost: without an answer within the time-out, of the requests due in the window."
            " The counts are of the whole trial: lost less late, the kernel\u2019s RcvbufErrors,"
            " and of these sk_drops, those in the server\u2019s sockets.",
            "A receive buffer is what was asked for; the kernel doubles it, and gives no more than"
            " twice net.core.rmem_max.",
        ),
    )


def _table(ladder: Ladder) -> Table:
    rows = []
    for subject, model in subjects_of(ladder.workloads).items():
        cells = [cell_at(rung, subject) for rung in ladder.workloads]
        count = count_of(cell for cell in cells if cell)
        shares = (cell.write(LOST) if cell else MISSING for cell in cells)
        counts = (f"{count.ours:,}", f"{count.kernels:,}", f"{count.servers:,}")
        rows.append(Row(subject, model, (*shares, *counts, percent(count.apart))))
    rates = (f"{rung.load.rate:,.0f}/s" for rung in ladder.workloads)
    return Table(
        f"Share of requests lost, by rate offered: {ladder.load}",
        ("Model", *rates, "lost for good", "RcvbufErrors", "sk_drops", "apart"),
        tuple(rows),
    )


def _finding(ladders: list[Ladder]) -> str:
    ends = [
        cell
        for ladder in (ladders[0], ladders[-1])
        for cell in ladder.workloads[-1].cells
        if LOST.name in cell.figures
    ]
    counts = [
        (count_of([cell]), cell)
        for ladder in ladders
        for rung in ladder.workloads
        for cell in rung.cells
        if cell.trials
    ]
    if not ends or not counts:
        return "No trial was finished."
    worst = max(ends, key=lambda cell: cell.figures[LOST.name].value)
    best = min(ends, key=lambda cell: cell.figures[LOST.name].value)
    agreed = sum(count.apart <= AGREED for count, _ in counts)
    rate = f"{worst.load.rate:,.0f}/s"
    room, more_room = (cell.asked.serving.receive_buffer for cell in (worst, best))
    return (
        f"At {rate} {worst.subject} loses {worst.write(LOST)} of the requests with a receive"
        f" buffer of {room:,} B, and {best.subject} {best.write(LOST)} with {more_room:,} B;"
        f" in {agreed} of {len(counts)} cells what we count as lost"
        f" and what the kernel says it dropped differ by no more than {percent(AGREED)}."
    )
