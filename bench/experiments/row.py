"""The row of an experiment: what is asked, what is claimed, and what would refute it."""

from __future__ import annotations

__all__ = ["ASKED", "OURS", "Experiment"]

from typing import NamedTuple


class Experiment(NamedTuple):
    """A row."""

    name: str
    section: str  # of the course; OURS where it says nothing of it
    question: str
    claim: str
    varies: str
    measures: str
    refuted_by: str
    advice: str  # what to do with the answer
    entry: str  # its module in bench.experiments
    python: str = "any"  # "own": it measures the suite itself, which needs all that is installed

    @property
    def module(self) -> str:
        """The module that measures and judges."""
        return f"bench.experiments.{self.entry}"


ASKED = ("name", "section", "question", "claim", "varies", "measures", "refuted_by", "advice")
"""What a finding keeps of a row."""

OURS = "ours"
