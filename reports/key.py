"""What tells one cell from another: in a plan, in a record, in a table and in a baseline alike."""

from __future__ import annotations

__all__ = ["REFERENCE", "CellKey"]

from typing import NamedTuple

REFERENCE = "reference"
"""What stands for a model in the cells of the null server: the floor, beside which nobody ranks."""


class CellKey(NamedTuple):
    """One model under one load, and under which interpreter."""

    scenario: str
    level: str  # the load in words, e.g. "64 connections, 1 KiB"
    model: str
    interpreter: str = ""  # empty: the one that conducted the run

    @property
    def subject(self) -> str:
        """What is measured, in words: the model, and its interpreter where it has one of its own.

        It is unique among the cells of one load, and it is what tables and charts print.
        """
        return f"{self.model} on {self.interpreter}" if self.interpreter else self.model

    @property
    def is_reference(self) -> bool:
        """Whether it is no model's, but the null server's."""
        return self.model == REFERENCE

    @property
    def name(self) -> str:
        """The cell in one word, for lines of progress and the names of series."""
        return f"{self.subject}/{self.scenario}"
