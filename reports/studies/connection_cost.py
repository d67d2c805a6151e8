"""Stevens's table, today: CPU of a connection beyond that of a server without concurrency.

W. Richard Stevens, Bill Fenner, Andrew M. Rudoff: UNIX Network Programming, volume 1, third
edition, 2003, chapter 30. Section 30.4 says why the iterative server is subtracted; section 30.13
says what came of it. The seconds of its Figure 30.1 were not to be had from a source that could be
checked, so none are given.
"""

from __future__ import annotations

__all__ = [
    "BASELINE",
    "NAME",
    "Cost",
    "costs_of",
    "section",
]

from typing import NamedTuple

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU
from reports.stats import Interval, median_interval
from reports.studies.section import Row, Section, Table, cell_at, named
from reports.units import DASH, MISSING, number

NAME = "connection-cost"
BASELINE = "serial"

DESIGNS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("1: a fork for each client", ("process", "forking"), "10 or more"),
    ("2: preforked, each child accepts", ("prefork",), "1"),
    ("5: preforked, the parent passes connections on", ("process-pool",), "1"),
    ("6: a thread for each client", ("thread", "socketserver"), MISSING),
    ("7: prethreaded, each thread accepts", ("prethread",), "1"),
    ("8: prethreaded, the main thread accepts", ("thread-pool",), "1"),
)
"""The book's designs, by their row in its Figure 30.1: those of ours that are like them, and what
section 30.13 says they cost when a pool costs 1; of a thread for each client it gives no factor."""

SOURCE = (
    "UNIX Network Programming, volume 1, 3rd edition, 2003, section 30.13, of another machine: a"
    " pool of processes or threads takes a tenth or less of the process control CPU of a fork for"
    " each client. The seconds of its Figure 30.1 could not be verified here and are left out."
)


class Cost(NamedTuple):
    """What a connection costs a model."""

    cell: Cell
    beyond: Interval | None  # in us, beyond the baseline's in the same block; None without it


def costs_of(workload: Workload) -> list[Cost]:
    """Return what a connection costs each model that may be ranked, the cheapest first."""
    costs = []
    for cell in workload.cells:
        figures = cell.by_block(CPU)
        if not (cell.ranked and figures):
            continue
        base = cell_at(workload, cell.key._replace(model=BASELINE).subject)
        based = base.by_block(CPU) if base and base.ranked else {}
        beyond = [figures[block] - based[block] for block in figures.keys() & based.keys()]
        costs.append(Cost(cell, median_interval(beyond) if beyond else None))
    return sorted(costs, key=lambda cost: cost.cell.figures[CPU.name].value)


def section(report: Report) -> Section | None:
    """Return what the run found; None when it did not ask."""
    for workload in named(report, NAME):
        costs = costs_of(workload)
        if costs:
            return Section(
                name=NAME,
                title="Stevens\u2019s table, today",
                asks="What does a connection cost, beyond a server that takes one after the other?",
                finding=_finding(workload, costs),
                tables=(_ours(costs), *_beside(costs)),
                notes=(SOURCE,),
            )
    return None


def _finding(workload: Workload, costs: list[Cost]) -> str:
    rate = f"at {workload.load.rate:,.0f} connections/s, which every model keeps"
    others = [cost for cost in costs if cost.cell.model != BASELINE]
    known = [cost for cost in others if cost.beyond]
    if not known:
        return (
            f"Without {BASELINE} in the run nothing can be subtracted: {rate}, a connection takes"
            f" {costs[0].cell.subject} {costs[0].cell.write(CPU)} us of CPU in all"
            f" and {costs[-1].cell.subject} {costs[-1].cell.write(CPU)} us."
        )
    base = next((cost for cost in costs if cost.cell.model == BASELINE), costs[0])
    cheapest, dearest = known[0], known[-1]
    return (
        f"Beyond the {base.cell.write(CPU)} us of CPU that {BASELINE} takes ({rate}), a connection"
        f" costs {_words(cheapest)} and {_words(dearest)}."
    )


def _words(cost: Cost) -> str:
    return f"{cost.cell.subject} {_value(cost)} us ({_range(cost)})"


def _value(cost: Cost) -> str:
    return number(cost.beyond.value) if cost.beyond else MISSING


def _range(cost: Cost) -> str:
    if cost.beyond is None or cost.beyond.trials < 2:
        return MISSING
    return f"{number(cost.beyond.low)} {DASH} {number(cost.beyond.high)}"


def _ours(costs: list[Cost]) -> Table:
    return Table(
        "CPU of the server per connection, median over blocks",
        ("Model", "in all, us", f"beyond {BASELINE}\u2019s, us", "interval"),
        tuple(
            Row(
                cost.cell.subject,
                cost.cell.model,
                (cost.cell.write(CPU), _value(cost), _range(cost)),
            )
            for cost in costs
        ),
    )


def _beside(costs: list[Cost]) -> list[Table]:
    """Lay the book's designs beside those of ours that are like them, by what a pool costs."""
    by_model = {
        cost.cell.model: cost.beyond.value
        for cost in costs
        if cost.beyond and not cost.cell.key.interpreter
    }
    pools = [by_model[each] for _, ours, book in DESIGNS if book == "1" for each in ours
             if each in by_model]  # fmt: skip
    unit = min((pool for pool in pools if pool > 0), default=0.0)
    rows = [
        Row(
            f"{design}: {each}",
            each,
            (number(by_model[each]), number(by_model[each] / unit), book),
        )
        for design, ours, book in DESIGNS
        for each in ours
        if unit and each in by_model
    ]
    if not rows:
        return []
    headings = (
        "Design in the book, and the model like it",
        "here, us",
        "here, times the cheapest pool",
        "in the book, times a pool",
    )
    return [Table("Beside the book", headings, tuple(rows))]
