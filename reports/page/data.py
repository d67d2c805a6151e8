"""The data block of a page: what its script draws from, computed from the report and nothing else.

It holds what a reader can point at: of every cell the figures with their intervals, in the words
of the tables, each trial's, the latency by percentile, one trial over time, what limited it, what
went wrong, and the command that repeats it. It must stay small for thirty models under eight
workloads, so histograms are thinned to percentiles and figures have four digits. Pure.
"""

from __future__ import annotations

__all__ = ["FIGURES", "NINES", "block_of", "json_in_html"]

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reports.cells.families import OTHER, families_of
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.charts.gallery import slug
from reports.charts.percentiles import TICKS
from reports.charts.style import looks_of
from reports.charts.timeline import track_of
from reports.histogram import SAMPLES_ABOVE, Histogram
from reports.metrics import (
    CPU,
    GENERATOR,
    P50,
    P90,
    P99,
    P999,
    PSS_LOADED,
    SERVER_CORES,
    THROUGHPUT,
    Metric,
)
from reports.record import Run
from reports.units import DASH, extent

FIGURES: Mapping[str, Metric] = {
    "throughput": THROUGHPUT,
    "p50": P50,
    "p90": P90,
    "p99": P99,
    "p99.9": P999,
    "CPU": CPU,
    "memory": PSS_LOADED,
}
"""The figures that a reader may choose, by the names that the page's address has for them."""
NINES: Sequence[float] = tuple(
    round(step * decade, 1)
    for decade in (1, 10, 100, 1_000, 10_000)
    for step in (1, 1.4, 2, 3, 5, 7)
    if 2 <= step * decade <= 100 / (100 - TICKS[-1]) * 1.001
)
"""Where the latency curve is read, as 1 / (1 - q): from p50, by even steps of a log axis."""
DIGITS = 4
MOST_STEPS = 120
"""Of a time axis: of a longer one so many intervals are shown, each the worst of those it has."""
FLOOR = "null server"
"""Stands for the family of the reference, which is no model."""


def block_of(report: Report) -> dict[str, Any]:
    """Return what the page's script reads, ready for JSON."""
    run = report.run
    cells = [cell for workload in report.workloads for cell in workload.rows]
    subjects = list(dict.fromkeys(cell.subject for cell in cells))
    return {
        "run": {"id": run.id, "blocks": run.blocks},
        "figures": list(FIGURES),
        "nines": NINES,
        "subjects": [_subject(run, cell) for cell in {c.subject: c for c in cells}.values()],
        "workloads": [_workload(report, workload, subjects) for workload in report.workloads],
    }


def json_in_html(value: Any) -> str:
    """Return JSON that nothing ends or comments out when it stands in a script element.

    The characters that HTML has a meaning for occur within strings alone, where JSON may escape
    them. ValueError when a number is none.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _subject(run: Run, cell: Cell) -> dict[str, Any]:
    family = FLOOR if cell.key.is_reference else families_of(run).get(cell.model, OTHER)
    return {
        "name": cell.subject,
        "model": cell.model,
        "family": family,
        "interpreter": cell.key.interpreter,
        "colour": looks_of(run).of(cell.model).colour,
    }


def _workload(report: Report, workload: Workload, subjects: Sequence[str]) -> dict[str, Any]:
    figures = {name: workload.suited(metric) for name, metric in FIGURES.items()}
    return {
        "id": slug(workload.scenario, workload.level),
        "scenario": workload.scenario,
        "level": workload.level,
        "figures": {
            name: {
                "title": metric.title,
                "unit": metric.unit,
                "more": metric.more_is_better,
                "latency": bool(metric.latency),
            }
            for name, metric in figures.items()
        },
        "cells": [
            {
                "subject": subjects.index(cell.subject),
                **_figures(report, workload, cell, figures),
                **_evidence(report.run, cell),
            }
            for cell in workload.rows
        ],
    }


def _figures(
    report: Report, workload: Workload, cell: Cell, figures: Mapping[str, Metric]
) -> dict[str, Any]:
    """Return what the cell says by each figure, in numbers and in the words of the tables."""
    known = {name: metric for name, metric in figures.items() if metric.name in cell.figures}
    spreads = {name: cell.figures[metric.name] for name, metric in known.items()}
    ranks = {
        name: extent(*found)
        for name, metric in known.items()
        if (found := report.ranks.get((workload.name, metric.name), {}).get(cell.subject))
    }
    return {
        "figures": {
            name: [
                *_rounded((spreads[name].value, spreads[name].low, spreads[name].high)),
                cell.write(metric),
                cell.write_range(metric),
            ]
            for name, metric in known.items()
        },
        "ranks": ranks,
        "unranked": cell.unranked_because(workload.headline),
        "trials": {
            name: _rounded(metric.of(trial) for trial in cell.trials)
            for name, metric in known.items()
        },
    }


def _evidence(run: Run, cell: Cell) -> dict[str, Any]:
    """Return what a reader needs to judge the cell, beside its figures."""
    both = {"server": SERVER_CORES, "generator": GENERATOR}
    asked = cell.asked
    return {
        "blocks": [trial.sample.block for trial in cell.trials],
        "limit": cell.verdict.brief if cell.trials else "",
        "reasons": cell.verdict.reasons,
        "cpu": {
            side: f"{cell.write(metric)} {metric.unit}"
            for side, metric in both.items()
            if metric.name in cell.figures
        },
        "placed": f"placement {asked.serving.placement}: server on CPU {_cpus(asked.server_cpus)},"
        f" generator on CPU {_cpus(asked.client_cpus)}",
        "notes": cell.notes,
        "errors": {kind: count for kind, count in cell.errors.items() if count},
        "failures": list(dict.fromkeys(cell.failures)),
        "curve": _curve(cell.answered, cell.unanswered),
        "time": _time(cell),
        "command": "" if cell.key.is_reference else _command(run, cell),
    }


def _cpus(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or DASH


def _curve(answered: Histogram, unanswered: Histogram) -> dict[str, Any]:
    """Return latencies in us at NINES, as far as ten samples above allow.

    `known` of them are latencies, and the others, which unanswered requests reach, lower bounds.
    """
    merged = Histogram.merge([answered, unanswered])
    # Whole counts, because 99.99 is no number that a float holds.
    nines = [nine for nine in NINES if nine * SAMPLES_ABOVE <= merged.count]
    values = merged.values_at([100 - 100 / nine for nine in nines])
    bounds = values >= unanswered.min() if unanswered.count else np.zeros(len(values), bool)
    return {"us": _rounded(values / 1e3), "known": len(values) - int(bounds.sum())}


def _time(cell: Cell) -> dict[str, Any]:
    """Return the trial of median throughput over time; empty when it has no intervals.

    It is none of the figures that are averaged: where intervals are brought together, because there
    are many, the lowest throughput and the highest percentile stand for them.
    """
    track = track_of(cell)
    if track is None:
        return {}
    each = math.ceil(len(track.seconds) / MOST_STEPS)
    starts = np.arange(0, len(track.seconds), each)
    worst = {
        "throughput": np.minimum.reduceat(track.per_second, starts),
        "p50": np.fmax.reduceat(track.latency_us[50.0], starts),
        "p99": np.fmax.reduceat(track.latency_us[99.0], starts),
    }
    series = {name: _rounded(values) for name, values in worst.items()}
    return {"seconds": _rounded(track.seconds[starts]), "worst_of": each, **series}


def _command(run: Run, cell: Cell) -> str:
    """Return the command that measures the cell again, as it must be typed."""
    options = {
        "--models": cell.model,
        "--scenarios": cell.scenario,
        "--blocks": str(run.blocks),
        "--window": f"{run.window_seconds:g}",
        "--warm-up": f"{run.warm_up_seconds:g}",
        "--placement": run.placement_override,
        "--python": cell.key.interpreter,
    }
    given = (word for name, value in options.items() if value for word in (name, value))
    return shlex.join([".venv/bin/threadmill", "run", *given])


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    """Return figures with DIGITS significant digits; None for what is none."""
    return [
        None if value is None or not math.isfinite(value) else _whole(float(f"{value:.{DIGITS}g}"))
        for value in values
    ]


def _whole(value: float) -> float:
    return int(value) if value.is_integer() else value
