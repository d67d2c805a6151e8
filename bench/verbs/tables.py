"""The plain table of the verbs that list what there is."""

from __future__ import annotations

__all__ = ["plain_table"]

from collections.abc import Iterable, Sequence

from rich.table import Table


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table without lines; what does not fit its column is folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
