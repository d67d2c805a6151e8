"""A folder of pages that any static host can serve: an index of runs, their reports, the trends.

Every address is relative and nothing is loaded from elsewhere, so the folder works from a disk as
it does from a host. A report is drawn anew from its run: the page that lies beside a run may be
anybody's, and would be served under the name of whoever publishes it.
"""

from __future__ import annotations

__all__ = ["Built", "build"]

import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from reports.cells.report import Report, read_report
from reports.files import read_regular, replace_whole
from reports.page.publish import publish
from reports.shelf.pages import rendered
from reports.store import FILE, RunFolder, Store, StoreError, disk_errors
from reports.trend.chart import write_charts
from reports.trend.history import TREND_METRICS, read, trends


class Listed(NamedTuple):
    """A run in the index."""

    id: str
    started: str
    profile: str
    commit: str
    machine: str
    models: int
    trials: int
    failed: int
    shortfall: str  # what is missing of it; empty: nothing


class Built(NamedTuple):
    """What the site holds, and what had to be left out, in sentences."""

    runs: list[Listed]
    trends: int
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        runs = [run._asdict() for run in self.runs]
        return {"runs": runs, "trends": self.trends, "warnings": self.warnings}


def build(
    store: Store,
    history: Path,
    into: Path,
    families: Mapping[str, str],
    on_step: Callable[[str], None],
) -> Built:
    """Write the site; StoreError when the disk refuses, or when there is nothing to put in it."""
    ids = store.ids()
    if not ids:
        raise StoreError(f"there is no run in {store.root} yet; `make bench` makes one")
    warnings: list[str] = []
    listed = []
    for name in reversed(ids):
        try:
            listed.append(_run_page(store.root / name, into / "runs" / name))
            on_step(f"wrote runs/{name}/report.html")
        except StoreError as error:
            warnings.append(f"{name} is left out: {error}")
    drawn = _trend_page(history, into, families, warnings) if history.is_file() else 0
    with disk_errors(f"write {into}"):
        into.mkdir(parents=True, exist_ok=True)
        page = rendered("index", runs=listed, trends=drawn, warnings=warnings)
        replace_whole(into / "index.html", page)
    return Built(listed, drawn, warnings)


def _run_page(source: Path, into: Path) -> Listed:
    """Draw the report of one run into a folder of the site."""
    with tempfile.TemporaryDirectory(prefix="threadmill-site-") as scratch:
        copy = RunFolder(Path(scratch))
        with disk_errors(f"copy {source / FILE}"):
            shutil.copyfile(source / FILE, copy.path / FILE)
        report = read_report(copy)
        if not report.workloads:
            raise StoreError("it has no finished trial")
        publish(copy, report)
        with disk_errors(f"write {into}"):
            into.mkdir(parents=True, exist_ok=True)
            for name in ("report.html", "summary.csv"):
                replace_whole(into / name, read_regular(copy.path / name))
    return _listed(report, source.name)


def _listed(report: Report, name: str) -> Listed:
    run = report.run
    facts = (str(run.machine[fact]) for fact in ("cpu", "python") if run.machine.get(fact))
    return Listed(
        name,
        run.started[:16].replace("T", " "),
        run.profile,
        str(run.machine.get("commit", "")),
        ", ".join(facts),
        len(run.models),
        report.trials,
        report.failed,
        report.shortfall,
    )


def _trend_page(history: Path, into: Path, families: Mapping[str, str], warnings: list[str]) -> int:
    """Write trends.html and return how many trends it has."""
    entries, said = read(history)
    warnings += said
    found = trends(entries, list(TREND_METRICS))
    with tempfile.TemporaryDirectory(prefix="threadmill-site-") as scratch:
        paths = [p for p in write_charts(found, families, Path(scratch)) if p.suffix == ".svg"]
        charts = [_embedded(path) for path in paths]
    changes = [(trend, change) for trend in found for change in trend.changes()]
    with disk_errors(f"write {into}"):
        into.mkdir(parents=True, exist_ok=True)
        page = rendered("trends", charts=charts, changes=changes, runs=len(entries))
        replace_whole(into / "trends.html", page)
    return len(found)


def _embedded(path: Path) -> Markup:
    """Return a drawing of our own as an image of the page: apart, so that no id meets another."""
    data = b64encode(path.read_bytes()).decode()
    return Markup('<img alt="{}" src="data:image/svg+xml;base64,{}">').format(path.stem, data)
