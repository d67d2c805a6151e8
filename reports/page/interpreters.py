"""The axis of interpreters on a terminal: what it says in words, and a matrix per load."""

from __future__ import annotations

__all__ = ["interpreter_tables"]

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from reports.cells.interpreters import Against, InterpreterAxis, Matrix


def interpreter_tables(axis: InterpreterAxis) -> Iterator[RenderableType]:
    """Yield a table for each load of a run over interpreters, and the answers in words."""
    if not axis.matrices:
        return
    for workload in axis.workloads:
        matrices = axis.of(workload)
        # The first and the last of the figures, throughput and memory: the page has the others.
        for place in dict.fromkeys((0, len(matrices) - 1)):
            yield _title(matrices[place])
            yield _table(matrices[place])
    for sentence in axis.sentences:
        yield Text(f"{sentence}.")


def _title(matrix: Matrix) -> Text:
    """Return the line above a table: a title of its own would be no wider than the table."""
    load = matrix.workload
    return Text.assemble(
        (f"{load.scenario}: {matrix.metric.title}", "bold"), f"  {load.level}: ratios"
    )


def _table(matrix: Matrix) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("model", no_wrap=True)
    first = matrix.interpreters[0] or "own"
    table.add_column(f"{first}, {matrix.metric.unit}", justify="right")
    for name in matrix.others:
        table.add_column(name, justify="right")
    for model, row in matrix.rows.items():
        cells = [_words(row.get(name)) for name in matrix.others]
        table.add_row(Text(model), Text(matrix.firsts[model].write(matrix.metric)), *cells)
    return table


def _words(against: Against | None) -> Text:
    if against is None:
        return Text("not run", "dim")
    style = ("green" if against.better else "red") if against.told else "dim"
    parts: list[Text | tuple[str, str]] = [(against.words, style)]
    if against.range_words:
        parts.append((f" ({against.range_words})", "dim"))
    if against.cell.gil_came_back:
        parts.append((" GIL on", "bold red"))
    return Text.assemble(*parts)
