"""Runs of a hostile author through the real verbs: a report, or a sentence that says why not."""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from reports.histogram import Histogram
from reports.store import FILE, Store
from tests.runs import make_run, make_sample

Verb = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Glyph")


def with_field(path: str, value: Any) -> dict[str, Any]:
    """Return a trial as its line has it, with one field changed, as `tally.seconds`."""
    values: dict[str, Any] = json.loads(json.dumps(make_sample().to_json()))
    *parents, last = path.split(".")
    part = values
    for name in parents:
        part = part[name]
    part[last] = value
    return values


@pytest.fixture
def verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Verb:
    """Return a call of a verb on a stored run that has the given trial in it."""
    monkeypatch.chdir(tmp_path)

    def call(trial: dict[str, Any], *words: str) -> tuple[int, str, str]:
        folder = Store().create(make_run(["thread"], ["echo"]))
        with (folder.path / FILE).open("a") as file:
            file.write(json.dumps(trial) + "\n")
        monkeypatch.setattr(sys, "argv", ["threadmill", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return call


def bomb() -> str:
    """Return a histogram that unpacks to 256 MiB."""
    packed = zlib.compress(bytes(2**28), 9)
    return base64.b64encode(struct.pack(">ii", 0x1C849304, len(packed)) + packed).decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cell.model", "$\\foo$ \x1b[31m [/x] \u202e \x00 :x:"),
        ("cell.level", "$\\frac{$\n[bold] 64 connections"),
        ("cell.scenario", "x" * 10_000),
        ("failure", "\x1b[2J\n\n$\\foo$"),
        ("tally.errors", {"\x1b[2J [/x]": 5}),
        ("tally.requests_per_connection", []),
    ],
)
def test_any_text_is_reported_and_nothing_of_it_reaches_the_terminal_or_a_formula(
    verb: Verb, tmp_path: Path, field: str, value: Any
) -> None:
    code, out, errors = verb(with_field(field, value), "report")
    assert (code, errors) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert next(tmp_path.glob("reports/runs/*/report.html")).exists()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("load.connections", 0, "connections must be 1 to"),
        ("tally.seconds", -1, "seconds must be 0 or"),
        ("tally.seconds", 5e-324, "seconds must be 0 or"),
        ("tally.seconds", float("nan"), "seconds is NaN"),
        ("tally.interval_seconds", 0, "interval_seconds is 0"),
        ("tally.interval_requests", [-1], "interval_requests must be 0 to"),
        ("tally.interval_requests", ["1"], "interval_requests is '1'"),
        ("tally.requests_per_connection", [2**63 - 1] * 64, "requests_per_connection must be"),
        ("tally.requests", 10**400, "requests is 1000"),
        ("tally.answered", "x", "histogram"),
        ("tally.answered", bomb(), "unpacks to more than"),
        ("tally.interval_latencies", ["x"], "HdrHistogram"),
        ("server_user_seconds", 1e308, "server_user_seconds is 1e+308"),
    ],
)
def test_a_figure_that_cannot_be_is_one_sentence(
    verb: Verb, field: str, value: Any, says: str
) -> None:
    code, out, errors = verb(with_field(field, value), "report")
    assert code == 3
    assert says.lower() in errors.lower()
    assert errors.count("\n") == 1
    assert "Traceback" not in out + errors


def test_a_name_that_would_be_markup_is_shown_in_the_history(verb: Verb) -> None:
    trial = with_field("cell.model", "[/x] $\\foo$ \x1b[2J")
    assert verb(trial, "history", "add")[0] == 0
    code, out, _ = verb(trial, "history")
    assert code == 0
    assert "[/x]" in out
    assert "\x1b" not in out


def test_a_histogram_of_ours_is_within_the_bounds() -> None:
    full = Histogram.of(value for each in range(36) for value in (2**each, 2**each * 3 // 2))
    assert Histogram.decode(full.encode()) == full
