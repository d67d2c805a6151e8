"""A stored baseline: runs made earlier on this machine, and one made now, to verdicts. Pure.

Unit
    A run: it has one figure per cell and metric, and one r, what a round of the frozen reference
    workload cost (CPU us) between its blocks. Blocks of a run share the machine's state and say
    nothing about other runs; what a further run may bring is seen between runs only.
Adjustment
    ln y_adj = ln y - beta (ln r - ln r0), r0 the geometric mean over the baseline's runs, beta
    by least squares of ln y on ln r over those runs, for each cell and metric by itself. The noise
    of r makes beta smaller than that of a perfect r would be, and rightly: the new run's r has
    the same noise. Logarithms are turned so that above 0 is worse; a throughput that follows the
    machine in full has beta 1 as well.
    Where beta's 95% interval is wider than from 0 (not at all) to 1 (in full) it tells nothing:
    beta is not to be known, nothing is adjusted, and a machine now slower or faster than its runs
    were leaves the verdict open. Memory is not adjusted: how fast a CPU is does not explain it, and
    what a few runs seem to say is chance.
Prediction
    Of one further run: mean +- t s sqrt(1 + 1/n), n - 1 degrees of freedom (Hahn and Meeker,
    Statistical Intervals, 1991, 4.7); with a fitted beta that of a regression, n - 2 degrees and
    + (ln r - ln r0)^2 / Sxx below the root (Draper and Smith, Applied Regression Analysis, 1998,
    3.1): the farther the machine is from where it was, the less is claimed.
Verdict
    As side by side, but without a block that could confirm: beyond the threshold and p < ALPHA,
    which is beyond the 99% interval. The bounds that are shown are 95%.
"""

from __future__ import annotations

__all__ = ["BaselineRun", "CellRun", "believable", "judge_run", "notes", "open_verdicts"]

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import stdtr

from reports.gate.effects import ALPHA, CONFIDENCE, POWER, Effect, Limit, direction, t_quantile
from reports.gate.verdicts import GATE_METRICS, GateMetric, Outcome, Pair, Verdict
from reports.gate.verdicts import judge as judge_pairs
from reports.key import CellKey
from reports.schema import Record, Values
from reports.untrusted import UntrustedError, number, take

MOST_FIGURE = 1e15
LEAST_RUNS = 4
"""Three leave a regression one degree of freedom, and then nothing is beyond its interval."""
UNRELATED = ("pss",)
"""Metrics that the speed of the machine has nothing to do with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRun:
    """What one run gave of a cell."""

    cell: CellKey
    figures: dict[str, float] = field(default_factory=dict)  # by metric, in its unit
    errors: dict[str, int] = field(default_factory=dict)  # by kind
    failure: str = ""  # why it has no figures


def _run_of_schema_1(old: Values) -> Values:
    """Bring together what a run of schema 1 kept by `model/scenario`, and the levels apart."""
    values = dict(old)
    figures, levels = values.pop("figures"), values.pop("levels")
    errors, failures = values.pop("errors", {}), values.pop("failures", {})
    cells = []
    for name in sorted({*figures, *failures}):
        model, _, scenario = name.partition("/")
        cell = {"scenario": scenario, "level": levels[scenario], "model": model}
        found = {"figures": figures.get(name, {}), "errors": errors.get(name, {})}
        cells.append({"cell": cell, **found, "failure": failures.get(name, "")})
    return values | {"cells": cells}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun(Record):
    """One run of the cells.

    Schema history
        1  (2026-11)  the first; figures, errors and failures by `model/scenario`.
        2  (2026-11)  a list of cells, each with its `CellKey`.
    """

    SCHEMA: ClassVar[int] = 2
    READERS: ClassVar[Mapping[int, Callable[[Values], Values]]] = {1: _run_of_schema_1}

    started: str  # UTC, ISO 8601
    commit: str
    machine: dict[str, Any]  # the fingerprint, see bench.measure.machine
    reference: int  # the version of the frozen workload, see bench.gate.reference_load
    placement: str
    shape: dict[str, float]  # blocks of a run, slices of a block and their seconds
    seed: int  # of the orders
    reference_us: list[float]  # CPU us per round, before each block
    cells: list[CellRun]  # every cell that was tried

    @property
    def log_r(self) -> float:
        """The mean over the blocks of ln r."""
        return float(np.mean(np.log(self.reference_us)))

    @property
    def figures(self) -> dict[CellKey, dict[str, float]]:
        """The figures of the cells that have any."""
        return {each.cell: each.figures for each in self.cells if each.figures}

    @property
    def failures(self) -> dict[CellKey, str]:
        """Why the others have none."""
        return {each.cell: each.failure for each in self.cells if each.failure}

    @property
    def levels(self) -> dict[str, str]:
        """The loads in words, by scenario."""
        return {each.cell.scenario: each.cell.level for each in self.cells}

    def errors_of(self, cell: CellKey) -> dict[str, int]:
        """Return the errors in a cell, by kind."""
        return next((each.errors for each in self.cells if each.cell == cell), {})


def believable(run: BaselineRun) -> BaselineRun:
    """Return a stored run of which logarithms can be taken; UntrustedError names what is wrong."""
    for cell, figures in run.figures.items():
        for metric in GATE_METRICS:
            value = take(figures, metric, float)
            number(f"{cell.name}: {metric}", value, least=1 / MOST_FIGURE, most=MOST_FIGURE)
    for value in run.reference_us:
        number("reference_us", value, least=1 / MOST_FIGURE, most=MOST_FIGURE)
    if not run.reference_us:
        raise UntrustedError("reference_us is empty")
    number("slices", take(run.shape, "slices", float), least=1, most=1_000)
    number("slice_seconds", take(run.shape, "slice_seconds", float), least=1e-3, most=60)
    return run


class Fit(NamedTuple):
    """What the baseline's runs say about a further one; logarithms, above 0 worse."""

    runs: int
    mean: float  # at r0
    noise: float  # standard deviation between runs, about the line where there is one
    freedom: int  # degrees of freedom of `noise`
    beta: float  # 0 where it is not to be known
    beta_error: float  # its standard error; infinite where r did not move at all
    log_r0: float
    sxx: float  # sum of squares of ln r about ln r0

    @property
    def known(self) -> bool:
        """Whether beta was to be known, and figures are adjusted by it."""
        return self.freedom == self.runs - 2

    def adjusted(self, log_y: float, log_r: float) -> float:
        """Return a run's figure as it would be at r0."""
        return log_y - self.beta * (log_r - self.log_r0)

    def error(self, log_r: float) -> float:
        """Return the standard error of a prediction for one further run."""
        moved = (log_r - self.log_r0) ** 2 / self.sxx if self.known else 0.0
        return self.noise * math.sqrt(1 + 1 / self.runs + moved)

    def strange(self, log_r: float) -> bool:
        """Whether the machine is beyond what its runs let expect, and beta not to be known.

        Beyond the 95% prediction interval of ln r itself.
        """
        error = math.sqrt(self.sxx / (self.runs - 1) * (1 + 1 / self.runs))
        return not self.known and abs(log_r - self.log_r0) > quantile(self.runs - 1) * error


class Prediction(Effect):
    """How far one run is from what the baseline predicts; the interval is of the prediction.

    `noise` is between runs, `pairs` the number of the baseline's runs.
    """

    freedom: int
    error: float

    @classmethod
    def of(cls, fit: Fit, log_y: float, log_r: float) -> Prediction:
        """Return the effect in a run whose figure is `log_y`, turned so that more is worse."""
        estimate, error = fit.adjusted(log_y, log_r) - fit.mean, fit.error(log_r)
        reach = quantile(fit.freedom) * error
        p = 2 * float(stdtr(fit.freedom, -abs(estimate) / error)) if error else 0.0
        bounds = estimate - reach, estimate + reach
        made = cls(estimate, *bounds, p if estimate else 1.0, fit.noise, fit.runs)
        made.freedom, made.error = fit.freedom, error
        return made

    def smallest(self, threshold: float) -> float:
        """Return the least worsening that would be called one four times of five, as a share."""
        power = t_quantile(POWER, self.freedom) * self.error
        told = quantile(self.freedom, 1 - ALPHA) * self.error
        return math.expm1(max(told, math.log1p(threshold)) + power)


def quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return Student's t that both tails beyond leave `confidence` between them."""
    return t_quantile((1 + confidence) / 2, freedom)


def fit(log_y: Sequence[float], log_r: Sequence[float]) -> Fit:
    """Fit a line through the runs, each one's ln y (more is worse) and ln r.

    ValueError below LEAST_RUNS.
    """
    if len(log_y) < LEAST_RUNS:
        raise ValueError(f"a prediction needs {LEAST_RUNS} runs")
    y, r = np.asarray(log_y, float), np.asarray(log_r, float)
    runs, mean, log_r0 = len(y), float(y.mean()), float(r.mean())
    moved = r - log_r0
    sxx = float(moved @ moved)
    flat = Fit(runs, mean, float(y.std(ddof=1)), runs - 1, 0.0, math.inf, log_r0, sxx)
    if not sxx:
        return flat
    beta = float(moved @ y) / sxx
    off = y - mean - beta * moved
    noise = math.sqrt(float(off @ off) / (runs - 2))
    beta_error = noise / math.sqrt(sxx)
    if 2 * quantile(runs - 2) * beta_error > 1:
        return flat._replace(beta_error=beta_error)
    return Fit(runs, mean, noise, runs - 2, beta, beta_error, log_r0, sxx)


def judge_run(
    baseline: Sequence[BaselineRun], new: BaselineRun, limits: Mapping[str, Mapping[str, Limit]]
) -> list[Verdict]:
    """Return the verdicts on a new run, cell by cell; `limits` by scenario, then by metric."""
    return [
        verdict
        for cell in sorted(each.cell for each in new.cells)
        for verdict in _judge_cell(cell, baseline, new, limits[cell.scenario])
    ]


def _judge_cell(
    cell: CellKey, baseline: Sequence[BaselineRun], new: BaselineRun, limits: Mapping[str, Limit]
) -> list[Verdict]:
    having = [run for run in baseline if cell in run.figures]
    trouble = _trouble(cell, having, new)
    if trouble.outcome is not Outcome.PASS:
        return [trouble]
    if not having:
        return [
            dataclasses.replace(
                trouble, outcome=Outcome.NO_BASELINE, reason="the baseline does not have it"
            )
        ]
    return [
        trouble,
        *(_judge_metric(GATE_METRICS[name], cell, having, new, limits) for name in limits),
    ]


def _trouble(cell: CellKey, having: Sequence[BaselineRun], new: BaselineRun) -> Verdict:
    """Return the verdict on a failure or errors, by the rules of pairs."""
    known = {kind: count for run in having for kind, count in run.errors_of(cell).items()}
    now = Pair(
        cell=cell,
        placement=new.placement,
        block=1,
        started=new.started,
        figures={},
        base_errors=known if having else new.errors_of(cell),
        head_errors=new.errors_of(cell),
        failure=new.failures.get(cell, ""),
    )
    (verdict,) = judge_pairs([[now]], {})
    return verdict


def _judge_metric(
    metric: GateMetric,
    cell: CellKey,
    having: Sequence[BaselineRun],
    new: BaselineRun,
    limits: Mapping[str, Limit],
) -> Verdict:
    limit = limits[metric.name]
    blank = Verdict(
        cell=cell,
        metric=metric.name,
        outcome=Outcome.INCONCLUSIVE,
        limit=limit,
        base=math.exp(np.mean([math.log(run.figures[cell][metric.name]) for run in having])),
    )
    if len(having) < LEAST_RUNS:
        few = f"the baseline has {len(having)} of the {LEAST_RUNS} runs that it needs"
        return dataclasses.replace(blank, reason=few)
    found = fit_of(metric, cell, having)
    effect = Prediction.of(found, logarithm(metric, cell, new), _log_r(metric, new))
    outcome, reason = _outcome(metric, limit, found, effect, _log_r(metric, new))
    return dataclasses.replace(
        blank,
        outcome=outcome,
        reason=reason,
        head=math.exp(_turned(metric, found.mean + effect.estimate)),
        effect=effect,
    )


def _outcome(
    metric: GateMetric, limit: Limit, found: Fit, effect: Prediction, log_r: float
) -> tuple[Outcome, str]:
    if found.strange(log_r):
        return Outcome.INCONCLUSIVE, (
            f"the machine is {change_of_machine(log_r - found.log_r0)} than in the baseline's runs,"
            " which do not tell what that does to this figure"
        )
    suspected = direction(effect, limit)
    if suspected:
        worse = Outcome.WARNING if metric.warns else Outcome.REGRESSION
        return worse if suspected > 0 else Outcome.IMPROVED, ""
    if effect.high < math.log1p(limit.guard):
        return Outcome.PASS, ""
    return Outcome.INCONCLUSIVE, f"it may be {math.expm1(effect.high):.0%} worse"


def logarithm(metric: GateMetric, cell: CellKey, run: BaselineRun) -> float:
    """Return a run's figure as a logarithm, turned so that more is worse."""
    return _turned(metric, math.log(run.figures[cell][metric.name]))


def _turned(metric: GateMetric, logarithm: float) -> float:
    return -logarithm if metric.more_is_better else logarithm


def fit_of(metric: GateMetric, cell: CellKey, runs: Sequence[BaselineRun]) -> Fit:
    """Fit the runs' figures of a cell."""
    log_y = [logarithm(metric, cell, run) for run in runs]
    return fit(log_y, [_log_r(metric, run) for run in runs])


def _log_r(metric: GateMetric, run: BaselineRun) -> float:
    """Return the run's ln r, and the same of all runs where that is not to matter."""
    return 0.0 if metric.name in UNRELATED else run.log_r


def change_of_machine(log_ratio: float) -> str:
    """Say what a change of ln r means: 12% slower."""
    return f"{abs(math.expm1(log_ratio)):.0%} {'slower' if log_ratio > 0 else 'faster'}"


def open_verdicts(
    cells: Iterable[CellKey], baseline: Sequence[BaselineRun], reason: str
) -> list[Verdict]:
    """Return a verdict per cell and metric that a baseline is of no use for, and why."""
    # At whatever level: that it is another one may be the very reason.
    known = {cell._replace(level="") for run in baseline for cell in run.figures}
    return [
        Verdict(cell=cell, metric=metric, outcome=outcome, reason=why)
        for cell in cells
        for outcome, why in [
            (Outcome.INCONCLUSIVE, reason)
            if cell._replace(level="") in known
            else (Outcome.NO_BASELINE, "the baseline does not have it")
        ]
        for metric in GATE_METRICS
    ]


def notes(baseline: Sequence[BaselineRun], new: BaselineRun, metrics: Iterable[str]) -> list[str]:
    """Return what a reader must know of the machine and of beta, in sentences."""
    r0 = float(np.mean([run.log_r for run in baseline]))
    titles: dict[str, list[str]] = {}
    for metric in (GATE_METRICS[name] for name in metrics if name not in UNRELATED):
        fits = [
            fit_of(metric, cell, having)
            for cell in new.figures
            if len(having := [run for run in baseline if cell in run.figures]) >= LEAST_RUNS
        ]
        if fits:
            titles.setdefault(_said(fits), []).append(metric.title)
    return [
        f"a round of the reference workload took {math.exp(new.log_r):.2f} us of CPU,"
        f" {math.exp(r0):.2f} us in the baseline's {len(baseline)} runs:"
        f" the machine is {change_of_machine(new.log_r - r0)}",
        *(f"{', '.join(names)}: {said}" for said, names in titles.items()),
    ]


def _said(fits: Sequence[Fit]) -> str:
    """Say which betas were fitted to the cells of a metric."""
    known = [each for each in fits if each.known]
    words = []
    if known:
        betas = ", ".join(f"{each.beta:.2f} ± {each.beta_error:.2f}" for each in known)
        words.append(f"adjusted to the machine's speed, beta {betas}")
    if unknown := len(fits) - len(known):
        of = f" of {unknown} of {len(fits)} cells" if known else ""
        words.append(f"beta{of} is not to be known from these runs, so nothing is adjusted")
    return "; ".join(words)
