"""Runs as pandas frames, for `summary.csv` and for whoever wants to go on from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from reports.cells import Cell, Workload
from reports.metrics import METRICS, Trial
from reports.record import Sample

_LABELS = (
    "scenario", "level", "model", "block", "started", "failure", "connections", "depth", "session",
    "kind", "size_bytes", "workers", "placement",
)  # fmt: skip


def trials_frame(samples: Iterable[Sample]) -> pd.DataFrame:
    """Return one row per trial: its labels and every figure of METRICS (nan where it has none).

    Latencies have a second column `<name>_at_least` that says where they are lower bounds.
    """
    return pd.DataFrame([_trial_row(Trial(sample)) for sample in samples])


def summary_frame(workloads: Sequence[Workload]) -> pd.DataFrame:
    """Return one row per cell: each figure with the range of its trials, and what went wrong.

    `<name>` is the median over the trials (latencies: of the merged histogram), `<name>_low`
    and `<name>_high` are the least and the greatest of the trials.
    """
    return pd.DataFrame([_cell_row(cell) for workload in workloads for cell in workload.cells])


def _trial_row(trial: Trial) -> dict[str, object]:
    sample = trial.sample
    row: dict[str, object] = {name: getattr(sample, name) for name in _LABELS}
    row["served"] = trial.served
    row["errors"] = sum(sample.errors.values())
    for metric in METRICS:
        row[metric.name] = None if sample.failure else metric.of(trial)
        if metric.latency:
            row[f"{metric.name}_at_least"] = bool(trial.latencies.get(f"{metric.latency}_at_least"))
    return row


def _cell_row(cell: Cell) -> dict[str, object]:
    row: dict[str, object] = {
        "scenario": cell.scenario,
        "level": cell.level,
        "model": cell.model,
        "placement": cell.load.placement,
        "trials": len(cell.trials),
        "failures": len(cell.failures),
        "offered": cell.load.connections,
        "served_low": cell.served[0],
        "served_high": cell.served[1],
        "ranked": cell.ranked,
    }
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
