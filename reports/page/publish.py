"""A run made readable: `summary.csv`, `charts/` and `report.html` in the run's folder.

Only reads what was stored, so it can be done again at any time; what an earlier time drew and
this one does not is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from reports.cells.frames import summary_frame
from reports.cells.workload import workloads_of
from reports.charts.gallery import Chart, charts_of
from reports.page.html import Experiment, experiments_of, page
from reports.store import RunFolder, StoreError, disk_errors


def _quiet(_step: str) -> None:
    """Say nothing."""


def publish(folder: RunFolder, on_step: Callable[[str], None] = _quiet) -> list[Path]:
    """Write everything for `folder` and return the paths, the page last.

    `on_step` is told in a few words how far it has come. StoreError when the run cannot be read
    or the disk cannot be written.
    """
    run, samples = folder.read()
    warnings = list(folder.warnings)
    try:
        workloads = workloads_of(run, samples)
    except ValueError as error:
        raise StoreError(f"{folder.path} holds a histogram that cannot be read: {error}") from error
    with disk_errors(f"write the report into {folder.path}"):
        summary = folder.path / "summary.csv"
        summary_frame(workloads).to_csv(summary, index=False)
        on_step("wrote summary.csv")
        drawn = []
        for chart in charts_of(run, workloads):
            drawn.append(chart)
            on_step(f"drew {chart.says}")
        charts = _replace_charts(folder.path / "charts", drawn)
        report = folder.path / "report.html"
        experiments = _experiments(folder.path / "experiments.json")
        report.write_text(page(run, workloads, drawn, experiments, warnings), encoding="utf-8")
        on_step("wrote report.html")
    return [summary, *charts, report]


def _replace_charts(into: Path, charts: Sequence[Chart]) -> list[Path]:
    """Write the charts, remove those of an earlier time, and return the paths."""
    into.mkdir(exist_ok=True)
    written = []
    for chart in charts:
        for suffix, image in chart.images.items():
            path = into / f"{chart.name}.{suffix}"
            path.write_bytes(image)
            written.append(path)
    for path in (*into.glob("*.png"), *into.glob("*.svg")):
        if path not in written:
            path.unlink()
    return written


def _experiments(path: Path) -> list[Experiment]:
    if not path.exists():
        return []
    try:
        return experiments_of(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
