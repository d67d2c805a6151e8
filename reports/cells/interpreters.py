"""The axis of interpreters: what each costs and gives beside the first, model by model. Pure.

A matrix is one figure under one load: models down, interpreters across, each as its ratio to the
first interpreter of the run, within blocks, with its interval (`reports.stats.ratio_interval`). A
difference is claimed only where the interval has trials enough and does not hold 1, and only of
cells that did all they were asked. Everything else is "not told apart", or has its reason.
"""

from __future__ import annotations

__all__ = ["FIGURES", "Against", "InterpreterAxis", "Matrix", "axis_of", "described"]

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reports.cells.workload import Cell, Workload
from reports.metrics import CPU, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.record import Run
from reports.stats import Interval, ratio_intervals
from reports.units import AT_LEAST, DASH, MISSING, number

FIGURES = (THROUGHPUT, P99, CPU, PSS_LOADED)
"""What interpreters are compared by, under every load."""
PRICE: Sequence[tuple[Metric, Callable[[Matrix], bool]]] = (
    (THROUGHPUT, lambda each: each.workload.load.kind == "COMPUTE"),
    (P99, lambda each: each.workload.load.company > 0),
    (CPU, lambda each: each.workload.load.kind == "ECHO" and not each.workload.load.company),
    (PSS_LOADED, lambda each: each.workload.load.kind in ("ECHO", "COMPUTE")),
)
"""Which figures of which loads show what a GIL costs, and what it costs to do without."""
NOT_TOLD = "not told apart"
OWN_NAME = "the conductor's own"


class Against(NamedTuple):
    """A cell beside the same model's under the first interpreter."""

    cell: Cell
    first: Cell
    metric: Metric
    ratio: Interval | None  # cell / first; None: they share no block that has the figure

    @property
    def fair(self) -> bool:
        """Whether both did all they were asked, so that the ratio says something of them."""
        return self.cell.ranked and self.first.ranked

    @property
    def told(self) -> bool:
        """Whether a difference may be claimed."""
        ratio = self.ratio
        if not (ratio and ratio.tells and self.fair) or ratio.low <= 1 <= ratio.high:
            return False
        # Of what the generator limited a ratio is a bound, which may only be claimed on its side.
        return not self.limited or (ratio.value > 1 and self.limited == AT_LEAST)

    @property
    def limited(self) -> str:
        """A sign for what the generator made a bound; empty where it did not."""
        if self.metric is not THROUGHPUT:
            return ""
        of_cell, of_first = (not each.ranked_by(self.metric) for each in (self.cell, self.first))
        if of_cell and self.cell.ranked:
            return "?" if of_first else AT_LEAST
        return "at most " if of_first and self.first.ranked else ""

    @property
    def better(self) -> bool:
        """Whether the difference, if there is one, is for the better."""
        return self.ratio is not None and (self.ratio.value > 1) == self.metric.more_is_better

    @property
    def words(self) -> str:
        """The ratio in words."""
        if not self.ratio:
            return MISSING
        return f"{self.limited.replace('?', '')}{number(self.ratio.value)}"

    @property
    def range_words(self) -> str:
        """The interval in words, and whether it tells the two apart; empty with a single trial."""
        if not self.ratio or self.ratio.trials < 2:
            return ""
        return f"{number(self.ratio.low)} {DASH} {number(self.ratio.high)}"

    @property
    def verdict(self) -> str:
        """What cannot be claimed of it, in words; empty where the difference is."""
        if self.told or not self.ratio:
            return ""
        if not self.fair:
            return "not ranked"
        if self.limited:
            return "the generator was the limit"
        return NOT_TOLD if self.ratio.tells else "too few trials to tell"


@dataclass(frozen=True, slots=True)
class Matrix:
    """One figure under one load, by model and interpreter."""

    workload: Workload
    metric: Metric
    interpreters: tuple[str, ...]  # in the run's order; the first is what the others are held to
    firsts: Mapping[str, Cell]  # by model, under the first of them
    rows: Mapping[str, Mapping[str, Against]]  # by model and interpreter, without the first

    @property
    def others(self) -> tuple[str, ...]:
        """The interpreters that have a ratio."""
        return self.interpreters[1:]


class Described(NamedTuple):
    """An interpreter of the run, in words."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class InterpreterAxis:
    """All that a run says of interpreters; without any in a run of one."""

    described: tuple[Described, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    sentences: tuple[str, ...] = ()

    def of(self, workload: Workload) -> list[Matrix]:
        """Return the matrices of one workload, in the order of FIGURES."""
        return [matrix for matrix in self.matrices if matrix.workload is workload]

    def by(self, metric: Metric) -> list[Matrix]:
        """Return the matrices of one figure, in the run's order of workloads."""
        return [each for each in self.matrices if each.metric in (metric, _suited(each, metric))]

    @property
    def price(self) -> list[Matrix]:
        """What a GIL costs and what its end does: a figure each, of the loads that show it."""
        found = []
        for metric, shows in PRICE:
            having = [each for each in self.matrices if each.metric is metric and shows(each)]
            # The most demanding level stands last.
            found += having[-1:]
        return found if len(found) > 1 else []

    @property
    def workloads(self) -> list[Workload]:
        """Every workload that has matrices."""
        return list({id(each.workload): each.workload for each in self.matrices}.values())


def _suited(matrix: Matrix, metric: Metric) -> Metric:
    return matrix.workload.suited(metric)


def axis_of(run: Run, workloads: Sequence[Workload]) -> InterpreterAxis:
    """Return what a run says of interpreters: nothing unless it has several."""
    names = list(dict.fromkeys(cell.key.interpreter for load in workloads for cell in load.cells))
    known = [name for each in run.interpreters if (name := str(each.get("name", ""))) in names]
    # In the order in which they were named; what the run does not know of comes after.
    order = tuple(dict.fromkeys([*known, *names]))
    if len(order) < 2:
        return InterpreterAxis()
    matrices = tuple(
        matrix
        for workload in workloads
        if workload.comparable
        for metric in dict.fromkeys(map(workload.suited, FIGURES))
        if (matrix := _matrix(workload, metric, order))
    )
    facts = {str(each.get("name", "")): each for each in run.interpreters}
    return InterpreterAxis(
        tuple(Described(name or OWN_NAME, described(facts.get(name, {}))) for name in order),
        matrices,
        tuple(_sentences(matrices, workloads)),
    )


def _matrix(workload: Workload, metric: Metric, order: Sequence[str]) -> Matrix | None:
    cells = {(cell.model, cell.key.interpreter): cell for cell in workload.cells}
    models = list(dict.fromkeys(model for model, _ in cells))
    firsts = {model: cells[model, order[0]] for model in models if (model, order[0]) in cells}
    pairs = [
        (cells[model, name], first)
        for model, first in firsts.items()
        for name in order[1:]
        if (model, name) in cells
    ]
    if not pairs:
        return None
    ratios = ratio_intervals(
        [(cell.by_block(metric), first.by_block(metric)) for cell, first in pairs]
    )
    rows: dict[str, dict[str, Against]] = {}
    for (cell, first), ratio in zip(pairs, ratios, strict=True):
        against = Against(cell, first, metric, ratio)
        rows.setdefault(cell.model, {})[cell.key.interpreter] = against
    return Matrix(workload, metric, tuple(order), firsts, rows)


def _sentences(matrices: Sequence[Matrix], workloads: Sequence[Workload]) -> Iterator[str]:
    """Yield, by load and interpreter, whom it surely helps the most, and whom it costs the most."""
    levels = Counter(workload.scenario for workload in workloads)
    for workload in workloads:
        of_load = {each.metric: each for each in matrices if each.workload is workload}
        headline = of_load.get(workload.headline)
        if not headline:
            continue
        memory = of_load.get(workload.suited(PSS_LOADED))
        for name in headline.others:
            column = [row[name] for row in headline.rows.values() if name in row]
            told = sorted(
                (each for each in column if each.told),
                key=lambda each: -abs(math.log(each.ratio.value if each.ratio else 1.0)),
            )
            for better in (True, False):
                first = next((each for each in told if each.better is better), None)
                if first:
                    level = f" ({workload.level})" if levels[workload.scenario] > 1 else ""
                    yield _sentence(first, headline, name, memory) + level
            if not told and column:
                few = all(each.ratio and not each.ratio.tells for each in column)
                why = "too few trials to tell" if few else "no model is told apart"
                at = f" at {workload.level}" if levels[workload.scenario] > 1 else ""
                yield f"{_noun(workload)}{at}: {why} under {name} and {_first(headline)}"


def _sentence(told: Against, matrix: Matrix, name: str, memory: Matrix | None) -> str:
    verb = (
        f"does {told.words} times the {_noun(matrix.workload)}"
        if matrix.metric is THROUGHPUT
        else f"has {told.words} times the {matrix.metric.title} in {matrix.workload.scenario}"
    )
    sentence = f"{told.cell.model} under {name} {verb} of {_first(matrix)} ({told.range_words})"
    weight = memory and memory.metric is not matrix.metric and memory.rows[told.cell.model][name]
    if not weight or not weight.ratio:
        return sentence
    if weight.told:
        return f"{sentence}, and uses {weight.words} times the memory"
    return f"{sentence}; their memory is {NOT_TOLD}"


def _noun(workload: Workload) -> str:
    """Return what is done in a workload: COMPUTE, or the scenario's name where that says more."""
    kind = workload.load.kind
    return kind if workload.scenario == kind.lower() else workload.scenario


def _first(matrix: Matrix) -> str:
    return matrix.interpreters[0] or OWN_NAME


def described(facts: Mapping[str, Any]) -> str:
    """Return what an interpreter said of itself, in words; a record may be anybody's."""
    said = [f"{facts.get('implementation', '')} {facts.get('version', '')}".strip()]
    for fact, words in WORDS:
        value = facts.get(fact)
        if isinstance(value, bool):
            said.append(words[value])
        elif isinstance(value, str) and value:
            said.append(f"{words[True]} {value}")
    environment = facts.get("environment")
    if isinstance(environment, Mapping):
        said += [f"{key}={value}" for key, value in environment.items() if key not in PLAIN]
    return ", ".join(each for each in said if each)


WORDS: Sequence[tuple[str, tuple[str, str]]] = (
    ("free_threaded", ("", "free-threaded")),
    ("gil", ("GIL off", "GIL on")),
    ("jit", ("JIT off", "JIT on")),
    ("malloc", ("", "malloc:")),
    ("optimized", ("not an optimized build", "optimized build")),
    ("debug", ("", "debug build")),
)
"""Facts, and what is said where they are false and true."""
PLAIN = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""What is set often and changes no figure."""
