"""EXPERIMENTS: the one list of what can be asked, in the order of the course.

A row (`bench.experiments.row`) says what is asked, what the course claims, what would refute that,
and what to do with the answer. Its module has `measure(lab)`, which measures, and `judge(found)`,
the verdict rule: a pure function of the figures. A module runs under any Python unless its row says
that it is the suite's own that it measures. Standard library only: the list is read under other
interpreters as well.
"""

from __future__ import annotations

__all__ = ["EXPERIMENTS", "UnknownExperiment", "find"]

from bench.experiments.row import Experiment
from bench.experiments.rows_concurrency import CONCURRENCY
from bench.experiments.rows_network import NETWORK
from bench.experiments.rows_ours import INSTRUMENT

EXPERIMENTS: tuple[Experiment, ...] = (*NETWORK, *CONCURRENCY, *INSTRUMENT)


class UnknownExperiment(LookupError):  # noqa: N818  # it says what was asked for
    """No experiment of this name."""

    exit_code = 2  # of a command that was given the name


def find(name: str) -> Experiment:
    """Return the experiment of this name; UnknownExperiment when there is none."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    from reports.nearest import proposal  # not in a child that has nothing to ask

    known = [each.name for each in EXPERIMENTS]
    hint = proposal(name, known, "`threadmill experiments` lists them.")
    raise UnknownExperiment(f"There is no experiment {name!r}; {hint}")
