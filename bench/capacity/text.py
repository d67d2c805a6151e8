"""What a search for capacities found, for the terminal: a row for each model."""

from __future__ import annotations

__all__ = ["capacity_table"]

from collections.abc import Sequence
from typing import Literal

from rich.table import Table

from bench.capacity.climb import Answer

COLUMNS: dict[str, Literal["left", "right"]] = {
    "model": "left",
    "requests/s": "right",
    "between": "right",
    "CPU us": "right",
    "trials": "right",
    "what broke it above": "left",
}


def capacity_table(answers: Sequence[Answer], scenario: str, promise: str) -> Table:
    """Return the table; `promise` is what was to be kept, in the words of who asked."""
    table = Table(
        title=f"{scenario}: the most requests/s at {promise}", title_justify="left", box=None
    )
    for heading, justify in COLUMNS.items():
        table.add_column(heading, justify=justify, overflow="fold")
    for answer in answers:
        row = answer.to_json()
        high = f"{row['high']:,.0f}" if row["high"] else "?"
        table.add_row(
            row["model"],
            f"{row['rate']:,.0f}" if row["rate"] else "none",
            f"{row['low']:,.0f} to {high}",
            f"{row['cpu_us_per_request']:.1f}",
            str(row["trials"]),
            row["broken_by"],
        )
    return table
