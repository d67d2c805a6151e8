"""An experiment for the terminal: its question, one table, the verdict in words.

A table that does not fit the terminal would break words in the middle of its cells. It is then told
figure by figure, a line for each case, which needs no more than three columns.
"""

from __future__ import annotations

__all__ = ["FindingText"]

from textwrap import fill

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.experiments.finding import VERDICTS
from reports.experiments.record import Finding
from reports.experiments.table import figures_of, table_of, who_says
from reports.units import MISSING

PLENTY = 10_000  # columns
HEADER_LETTERS = 16  # of a line of a column's name, if its figures are no longer
STYLES = {"holds": "bold green", "refuted": "bold yellow", "untold": "bold"}


class FindingText:
    """What a finding looks like on a terminal."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the parts."""
        found = self.finding
        yield Text(f"{found.name}: {found.question}", style="bold")
        yield Text(f"{who_says(found.section)}: {found.claim}", style="dim")
        if found.rows:
            wide = _by_case(found)
            # Rich says no more than there is room for, unless it is told that there is plenty.
            needed = Measurement.get(console, options.update(max_width=PLENTY), wide).maximum
            yield wide if needed <= options.max_width else _by_figure(found)
        for note in found.notes:
            yield Text(f"note: {note}", style="dim")
        yield Text.assemble(
            (VERDICTS[found.verdict], STYLES[found.verdict]), f": {found.because}\n"
        )


def _by_case(found: Finding) -> Table:
    """Return the table with a line for each case and a column for each figure."""
    figures = figures_of(found.rows)
    lines = [
        [case, *(f"{cell.words}\n{cell.interval}".rstrip() for cell in cells)]
        for case, cells in table_of(found.rows)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, (name, *cells) in enumerate(zip([found.varies, *figures], *lines, strict=True)):
        # A name may take several lines, but makes its column no wider than its figures do.
        widest = max(len(part) for cell in cells for part in cell.split("\n"))
        header = fill(name, max(widest, HEADER_LETTERS), break_long_words=False)
        table.add_column(header, justify="right" if place else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def _by_figure(found: Finding) -> Table:
    """Return the table with a block for each figure, and in it a line for each case that has it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(found.varies, overflow="fold")
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    for place, figure in enumerate(figures_of(found.rows)):
        table.add_section()
        table.add_row(Text(figure, style="bold"))
        for case, cells in table_of(found.rows):
            if cells[place].words != MISSING:
                indented = Padding(case, (0, 0, 0, 2))
                table.add_row(indented, cells[place].words, cells[place].interval)
    return table
