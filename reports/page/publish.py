"""A run made readable: `summary.csv`, `charts/` and `report.html` in the run's folder.

Draws what a Report says and measures nothing, so it can be done again at any time; what an earlier
time drew and this one does not is removed. The folder may be anybody's: each file is replaced
whole, and a link in its place, or in that of `charts/`, is not followed.
"""

from __future__ import annotations

__all__ = ["prepare", "publish"]

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from reports.cells.frames import csv_of, summary_frame
from reports.cells.report import Report
from reports.charts.gallery import Chart, charts_of
from reports.charts.gallery import prepare as start_drawers
from reports.files import names_in, own_folder, read_regular, replace_in, replace_whole
from reports.page.html import Experiment, experiments_of, page
from reports.store import FILE, RunFolder, StoreError, disk_errors, figure_errors


def _quiet(_step: str) -> None:
    """Say nothing."""


LARGE_BYTES = 256 * 1024
"""Of a run: a smaller one is read sooner than other processes have begun."""


def prepare(folder: RunFolder) -> None:
    """Get ready to draw a large run while it is being read; to leave it out changes no result."""
    file = folder.path / FILE
    if file.is_file() and file.stat().st_size > LARGE_BYTES:
        start_drawers()


def publish(
    folder: RunFolder, report: Report, on_step: Callable[[str], None] = _quiet
) -> list[Path]:
    """Write everything into the folder that `report` was read from; return the paths, page last.

    `on_step` is told in a few words how far it has come. StoreError when the disk cannot be
    written.
    """
    writing = f"write the report into {folder.path}"
    with figure_errors(folder.path), disk_errors(writing):
        summary = folder.path / "summary.csv"
        replace_whole(summary, csv_of(summary_frame(report)))
        on_step("wrote summary.csv")
        drawn = []
        for chart in charts_of(report):
            drawn.append(chart)
            on_step(f"drew {chart.says}")
        charts = _replace_charts(folder.path / "charts", drawn)
        experiments = _experiments(folder.path / "experiments.json")
        html = folder.path / "report.html"
        replace_whole(html, page(report, drawn, experiments, folder.warnings))
        on_step("wrote report.html")
    return [summary, *charts, html]


def _replace_charts(into: Path, charts: Sequence[Chart]) -> list[Path]:
    """Write the charts, remove those of an earlier time, and return the paths."""
    written = [
        (f"{chart.name}.{suffix}", image)
        for chart in charts
        for suffix, image in chart.images.items()
    ]
    names = {name for name, _ in written}
    with own_folder(into) as folder:
        for name, image in written:
            replace_in(folder, name, image)
        for name in names_in(folder):
            if name.endswith((".png", ".svg")) and name not in names:
                os.unlink(name, dir_fd=folder)
    return [into / name for name, _ in written]


def _experiments(path: Path) -> list[Experiment]:
    if not path.exists():
        return []
    try:
        return experiments_of(read_regular(path))
    except ValueError as error:
        raise StoreError(f"{path} is not the JSON of pytest-benchmark: {error}") from error
