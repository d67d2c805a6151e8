"""What the verbs that take results of any kind share: from a name to what it holds."""

from __future__ import annotations

__all__ = ["known_metric", "load_results"]

from collections.abc import Sequence
from pathlib import Path

from bench.plan.scenarios import UnknownNameError
from bench.verbs.common import stored_run
from reports.files import read_regular
from reports.store import FILE, RunFolder
from reports.trend.compare import Results
from reports.trend.foreign import (
    InvalidResultsError,
    UnreadableError,
    results_of_json,
    results_of_run,
    run_of,
)
from reports.trend.history import TREND_METRICS
from reports.untrusted import NotJsonError, UntrustedError, read_json


def known_metric(name: str) -> str:
    """Return the name of a figure that runs keep; UnknownNameError when it is none."""
    if name not in TREND_METRICS:
        raise UnknownNameError("metric", name, TREND_METRICS)
    return name


def load_results(name: str, metrics: Sequence[str], results: Path) -> Results:
    """Return what a user named; StoreError or UnreadableError when it holds no results."""
    path = Path(name)
    if path.is_file() and path.name != FILE:
        return _of_file(name, path, metrics)
    if path.is_file():
        folder = RunFolder(path.parent)
    elif (path / FILE).is_file():
        folder = RunFolder(path)
    else:
        folder = stored_run(results, name)
    run, samples = folder.read()
    return results_of_run(name, run, samples, metrics)


def _of_file(name: str, path: Path, metrics: Sequence[str]) -> Results:
    """Return what a file holds, whatever its name: one JSON document, or the lines of a run."""
    try:
        text = read_regular(path)
    except (OSError, UntrustedError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    try:
        values = read_json(text)
    except NotJsonError:
        return results_of_run(name, *run_of(name, text), metrics)
    except UntrustedError as error:
        raise InvalidResultsError(f"{name} is not as it should be: {error}") from error
    return results_of_json(name, values)
