"""Runs as pandas frames, for `summary.csv` and for whoever wants to go on from there."""

from __future__ import annotations

__all__ = ["csv_of", "summary_frame"]

import dataclasses
from collections.abc import Iterable

import pandas as pd

from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.metrics import METRICS, Trial
from reports.record import Sample
from reports.stats import Ranks

_LABELS = ("block", "started", "failure")
_CELL_LABELS = (
    "scenario", "level", "model", "placement", "trials", "failures", "offered", "served_low",
    "served_high", "ranked", "limit", "limit_reasons", "disturbed_trials",
)  # fmt: skip


def trials_frame(samples: Iterable[Sample]) -> pd.DataFrame:
    """Return one row per trial: its labels and every figure of METRICS (nan where it has none).

    Latencies have a second column `<name>_at_least` that says where they are lower bounds.
    """
    return pd.DataFrame([_trial_row(Trial(sample)) for sample in samples])


def summary_frame(report: Report) -> pd.DataFrame:
    """Return one row per cell: each figure with the range of its trials, and what went wrong.

    `<name>` is the median over the trials (latencies: of the merged histogram), `<name>_low`
    and `<name>_high` are the least and the greatest of the trials, or from eight trials on the
    95% interval of `reports.stats`. `rank_first` and `rank_last` are the places that it
    may have by the workload's headline figure.
    """
    rows = [
        _cell_row(cell) | _ranks_row(report.ranks_by_headline(workload).get(cell.subject))
        for workload in report.workloads
        for cell in (*workload.cells, *filter(None, [workload.reference]))
    ]
    # A run without any trial has the same columns, and no row.
    frame = pd.DataFrame(rows, columns=None if rows else _columns())
    # A whole number, or nothing: a plain column would make 1.0 of a rank beside a missing one.
    # In one piece again, or every further column that somebody adds would be slow.
    return frame.astype(dict.fromkeys(_ranks_row(None), "Int64")).copy()


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell of a spreadsheet begins with when it is computed, also as it comes from a file."""


def csv_of(frame: pd.DataFrame) -> str:
    """Return a frame as CSV in which no text is a formula: a run may be anybody's.

    Such text has an apostrophe before it, as a spreadsheet itself writes what it is to show as it
    is (OWASP, "CSV Injection"). Numbers stay as they are.
    """
    words = frame.select_dtypes(include=["object", "string"]).columns
    return frame.assign(**{name: frame[name].map(_inert) for name in words}).to_csv(index=False)


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _columns() -> list[str]:
    figures = [
        f"{metric.name}{end}"
        for metric in METRICS
        for end in ("", "_low", "_high", *(["_at_least"] if metric.latency else []))
    ]
    return [*_CELL_LABELS, *figures, "notes", *_ranks_row(None)]


def _ranks_row(ranks: Ranks | None) -> dict[str, object]:
    return {"rank_first": ranks and ranks.first, "rank_last": ranks and ranks.last}


def _trial_row(trial: Trial) -> dict[str, object]:
    sample = trial.sample
    row: dict[str, object] = sample.cell._asdict()
    row |= {name: getattr(sample, name) for name in _LABELS}
    row |= dataclasses.asdict(sample.serving) | dataclasses.asdict(sample.load)
    row["served"] = trial.served
    row["errors"] = sum(sample.tally.errors.values())
    row["disturbed"] = trial.disturbed
    for metric in METRICS:
        row[metric.name] = None if sample.failure else metric.of(trial)
        if metric.latency:
            summary = trial.summaries(metric.source)
            row[f"{metric.name}_at_least"] = bool(summary.get(f"{metric.latency}_at_least"))
    return row


def _cell_row(cell: Cell) -> dict[str, object]:
    labels = (
        cell.scenario, cell.level, cell.subject, cell.asked.serving.placement, len(cell.trials),
        len(cell.failures), cell.load.connections, *cell.served, cell.ranked, cell.verdict.limit,
        "; ".join(cell.verdict.reasons), sum(trial.disturbed for trial in cell.trials),
    )  # fmt: skip
    row: dict[str, object] = dict(zip(_CELL_LABELS, labels, strict=True))
    for metric in METRICS:
        spread = cell.figures.get(metric.name)
        row[metric.name] = spread and spread.value
        row[f"{metric.name}_low"] = spread and spread.low
        row[f"{metric.name}_high"] = spread and spread.high
        if metric.latency:
            row[f"{metric.name}_at_least"] = bool(spread and spread.at_least)
    row |= {f"errors_{kind}": count for kind, count in cell.errors.items()}
    row["notes"] = "; ".join(cell.notes)
    return row
