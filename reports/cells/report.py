"""The report of a run: everything that its renderers need, computed once.

A renderer (page, terminal, charts, `summary.csv`) takes a Report and writes; none of them reads a
file or compares models. What costs time is the ranks, a bootstrap for each pair of models: they are
computed here for the figures that any renderer asks for, and nowhere else.
"""

from __future__ import annotations

__all__ = ["Report", "read_report"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.cells.answers import Answers, RankTable, answers_of, asked_of
from reports.cells.gathering import workloads_of
from reports.cells.interpreters import InterpreterAxis, axis_of
from reports.cells.ladders import Ladder, ladders_of
from reports.cells.workload import Workload
from reports.record import Run, Sample
from reports.stats import Ranks
from reports.store import RunFolder, figure_errors


@dataclass(frozen=True, slots=True)
class Report:
    """A run, and what it says."""

    run: Run
    workloads: tuple[Workload, ...]
    ladders: tuple[Ladder, ...]  # workloads that differ in one thing, in order
    ranks: RankTable  # of models, by workload and figure
    answers: Answers  # who is first at what, and which model suits which need
    interpreters: InterpreterAxis  # what they cost, in a run over several

    @property
    def trials(self) -> int:
        """How many trials were begun."""
        cells = (cell for workload in self.workloads for cell in workload.cells)
        return sum(len(cell.trials) + len(cell.failures) for cell in cells)

    @property
    def planned(self) -> int:
        """How many trials the run set out for; of an older one, which does not say, the least."""
        run = self.run
        told = run.options.get("planned_trials")
        alike = len(run.models) * len(run.scenarios) * run.blocks
        return told if isinstance(told, int) else alike

    @property
    def shortfall(self) -> str:
        """What is missing of the run, as a sentence; empty when it went to its end."""
        if self.trials >= self.planned:
            return ""
        begun = {workload.scenario for workload in self.workloads}
        none_of = [name for name in self.run.scenarios if name not in begun]
        parts = [f"This run is not whole: it has {self.trials:,} of {self.planned:,} trials"]
        if none_of:
            parts.append(f"and none of {', '.join(none_of)}")
        return f"{' '.join(parts)}. What it says is of those trials alone."

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return sum(len(cell.failures) for workload in self.workloads for cell in workload.cells)

    def ranks_by_headline(self, workload: Workload) -> Mapping[str, Ranks]:
        """Return the ranks by what the workload is there to compare, best first."""
        return self.ranks[workload.name, workload.headline.name]


def report_of(run: Run, samples: Iterable[Sample]) -> Report:
    """Compute the report of a run; ValueError when a trial holds what is no histogram."""
    workloads = tuple(workloads_of(run, samples))
    ranks = {
        (workload.name, metric.name): workload.ranks(metric)
        for workload in workloads
        for metric in asked_of(workload)
    }
    return Report(
        run,
        workloads,
        tuple(ladders_of(workloads)),
        ranks,
        answers_of(workloads, ranks),
        axis_of(run, workloads),
    )


def read_report(folder: RunFolder) -> Report:
    """Read a stored run, once, and compute its report; StoreError when it cannot be read."""
    run, samples = folder.read(references=True)
    with figure_errors(folder.path):
        return report_of(run, samples)
