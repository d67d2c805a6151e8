"""Size: what a datagram costs by its payload, whole over loopback and in fragments over a link."""

from __future__ import annotations

__all__ = ["LOOPBACK", "NAME", "fragments_of", "links_of", "section"]

from reports.cells.ladders import Axis, Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import CPU, THROUGHPUT
from reports.studies.section import Row, Section, Table, cell_at, ladders_named, subjects_of
from reports.units import MISSING, ratio

NAME = "udp-size"
AXIS = Axis("size_bytes", "payload", "payload, B", r" (B|KiB|MiB)$", ())
LOOPBACK = "loopback"


def links_of(report: Report) -> dict[str, Ladder]:
    """Return the sizes over each link, by its name."""
    return {
        ladder.workloads[0].asked.serving.link or LOOPBACK: ladder
        for ladder in ladders_named(report, NAME, AXIS)
    }


def fragments_of(cell: Cell) -> float | None:
    """Return the fragments that the kernel made for a datagram, of requests and answers alike.

    None where nothing was answered. Over loopback, whose MTU is 64 KiB, it makes none.
    """
    samples = [trial.sample for trial in cell.trials]
    made = sum(
        s.kernel.get("FragCreates", 0) + s.kernel.get("server_FragCreates", 0) for s in samples
    )
    whole = sum(s.kernel.get("ReasmOKs", 0) + s.kernel.get("server_ReasmOKs", 0) for s in samples)
    if not any(s.tally.requests for s in samples):
        return None
    return made / whole if whole else 0.0


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    links = links_of(report)
    if not links:
        return None
    return Section(
        name=NAME,
        title="Size of a datagram",
        asks="What becomes of a datagram that is longer than the link takes?",
        finding=_finding(links),
        tables=tuple(_table(name, ladder) for name, ladder in links.items()),
        notes=(
            "A payload of 1,464 B is the last that a link of 1,500 bytes takes whole: 8 bytes of"
            " our header, 8 of UDP\u2019s and 20 of IP\u2019s come with it.",
            "A datagram of which one fragment is lost is lost: all of them have to arrive.",
        ),
    )


def _table(name: str, ladder: Ladder) -> Table:
    rows = []
    for subject, model in subjects_of(ladder.workloads).items():
        cells = [cell_at(rung, subject) for rung in ladder.workloads]
        figures = (
            f"{cell.write(CPU)}, {cell.write(THROUGHPUT)}/s, {_fragments(cell)}"
            if cell
            else MISSING
            for cell in cells
        )
        rows.append(Row(subject, model, tuple(figures)))
    sizes = (f"{rung.load.size_bytes:,} B" for rung in ladder.workloads)
    return Table(
        f"Over {name}: CPU us per request, requests/s, fragments of a datagram",
        ("Model", *sizes),
        tuple(rows),
    )


def _fragments(cell: Cell) -> str:
    found = fragments_of(cell)
    return MISSING if found is None else f"{found:.0f}"


def _finding(links: dict[str, Ladder]) -> str:
    over = next((ladder for name, ladder in links.items() if name != LOOPBACK), None)
    if over is None or not any(rung.cells[0].trials for rung in over.workloads):
        return "Only loopback could be had here, and there nothing is cut into fragments."
    for before, after in zip(over.workloads, over.workloads[1:], strict=False):
        for cell in after.cells:
            whole = cell_at(before, cell.subject)
            if whole and cell.trials and fragments_of(cell) and not fragments_of(whole):
                low, high = (each.figures[CPU.name].value for each in (whole, cell))
                return (
                    f"From {before.load.size_bytes:,} to {after.load.size_bytes:,} B a datagram of"
                    f" {cell.subject} goes in {fragments_of(cell):.0f} fragments instead of whole,"
                    f" at {ratio(high / low)} times the CPU."
                )
    return "No datagram went in fragments."
