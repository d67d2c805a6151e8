"""An experiment for the terminal: its question, one table, the verdict in words."""

from __future__ import annotations

__all__ = ["FindingText"]

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from reports.experiments.finding import VERDICTS
from reports.experiments.record import Finding
from reports.experiments.table import figures_of, table_of, who_says

STYLES = {"holds": "bold green", "refuted": "bold yellow", "untold": "bold"}


class FindingText:
    """What a finding looks like on a terminal."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Give rich the parts."""
        found = self.finding
        yield Text(f"{found.name}: {found.question}", style="bold")
        yield Text(f"{who_says(found.section)}: {found.claim}", style="dim")
        if found.rows:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            table.add_column(found.varies, overflow="fold")
            for figure in figures_of(found.rows):
                table.add_column(figure, justify="right", overflow="fold")
            for case, cells in table_of(found.rows):
                words = [
                    f"{cell.words}\n{cell.interval}" if cell.interval else cell.words
                    for cell in cells
                ]
                table.add_row(case, *words)
            yield table
        for note in found.notes:
            yield Text(f"note: {note}", style="dim")
        yield Text.assemble(
            (VERDICTS[found.verdict], STYLES[found.verdict]), f": {found.because}\n"
        )
