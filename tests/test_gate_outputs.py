"""What a gate says: in the terminal, in Markdown, to GitHub, as JUnit and as JSON."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from reports.gate.render.action_benchmark import entries
from reports.gate.render.annotations import workflow_commands
from reports.gate.render.junit import junit
from reports.gate.render.markdown import markdown
from reports.gate.render.text import gate_table
from reports.gate.render.words import headline
from reports.gate.verdicts import GateReport, Outcome
from tests.conftest import ROOT
from tests.verdicts import every_outcome, report, verdict

EVERYTHING = report(*every_outcome())


def printed(gate: GateReport) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(gate_table(gate))
    return captured.get()


def parsed(gate: GateReport) -> ET.Element:
    return ET.fromstring(junit(gate))  # noqa: S314  # we wrote it


@pytest.mark.parametrize("render", [printed, markdown], ids=["terminal", "markdown"])
@pytest.mark.parametrize(
    "words",
    [
        "thread/echo/cpu: regression", "+8.0%", "12 pairs", "noise 2.0%", "could have seen",
        "a fresh block says +7.0%", "asyncio/echo/cpu: improved", "it may be 12% worse",
        "allowed until 2027-01-31", "socketserver/churn/errors: no baseline", "left out: coroutine",
        "a note", "origin/main", "AMD EPYC 7B13", "INVALID",
    ],
)  # fmt: skip
def test_what_must_be_said_is_said(render: object, words: str) -> None:
    assert callable(render)
    assert words in " ".join(render(EVERYTHING).split())


def test_throughput_that_fell_is_shown_as_a_loss() -> None:
    assert "thread/echo/throughput: regression, -5.7%" in " ".join(printed(EVERYTHING).split())


def test_the_terminal_has_80_columns() -> None:
    assert max(len(line.rstrip()) for line in printed(EVERYTHING).splitlines()) <= 80


def test_the_verdict_is_the_last_line() -> None:
    assert (
        printed(report(verdict(Outcome.PASS, worse_by=0))).splitlines()[-1]
        == "PASS: nothing got worse"
    )


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (report(), "NOTHING JUDGED"),
        (report(verdict(Outcome.NO_BASELINE)), "NO BASELINE"),
        (report(verdict(Outcome.PASS), verdict(Outcome.NO_BASELINE)), "PASS"),
        (report(verdict(Outcome.REGRESSION)), "REGRESSION: thread/echo/cpu"),
        (report(verdict(Outcome.REGRESSION), enforced=False), "REGRESSION (warns only)"),
        (report(*[verdict(Outcome.INCONCLUSIVE)] * 9), "5 more cannot be told"),
    ],
)
def test_the_headline_says_what_came_of_it(gate: GateReport, words: str) -> None:
    assert words in headline(gate)
    assert headline(gate).split(":")[0] in markdown(gate)


def test_a_servers_last_words_cannot_break_the_markdown() -> None:
    text = markdown(EVERYTHING)
    assert "<Traceback>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    columns = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert columns == {12}


def test_workflow_commands_are_one_line_each_and_escaped() -> None:
    lines = workflow_commands(EVERYTHING)
    assert {line.split(" ")[0] for line in lines} == {"::error", "::warning", "::notice"}
    assert all("\n" not in line and "%25" in line for line in lines if "+8.0" in line)
    (invalid,) = (line for line in lines if "serial" in line)
    assert "%0A" in invalid
    assert "\n" not in invalid
    assert not any("p50" in line.split("::")[1] for line in lines)  # it passed


def test_what_is_not_enforced_only_warns() -> None:
    (line,) = workflow_commands(report(verdict(Outcome.REGRESSION), enforced=False))
    assert line.startswith("::warning")
    suite = parsed(report(verdict(Outcome.REGRESSION), enforced=False))
    assert suite.find(".//failure") is None


def test_junit_has_a_case_for_every_verdict_with_its_figures() -> None:
    suite = parsed(EVERYTHING).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len(EVERYTHING.verdicts) == int(suite.attrib["tests"])
    counts = {
        name: len(suite.findall(f"testcase/{name}")) for name in ("failure", "error", "skipped")
    }
    assert counts == {"failure": 2, "error": 1, "skipped": 2}
    assert [suite.attrib[name] for name in ("failures", "errors", "skipped")] == ["2", "1", "2"]
    first = cases[0]
    assert (first.attrib["classname"], first.attrib["name"]) == ("thread.echo", "cpu")
    assert "+8.0%" in (first.findtext("system-out") or "")


def test_json_has_effect_interval_pairs_noise_and_what_could_be_seen() -> None:
    told = json.loads(json.dumps(EVERYTHING.to_json(), allow_nan=False))
    first = told["verdicts"][0]
    assert first["effect"]["change"] == pytest.approx(0.08)
    assert first["effect"]["low"] < 0.08 < first["effect"]["high"]
    assert (first["effect"]["pairs"], first["effect"]["noise"]) == (12, 0.02)
    assert first["smallest_seen"] > 0.05


def test_action_benchmark_has_one_direction_smaller_is_better() -> None:
    rows = {row["name"]: row for row in entries(EVERYTHING)}
    assert rows["thread/echo/cpu"]["value"] == pytest.approx(108.0)
    throughput = next(v for v in EVERYTHING.verdicts if v.metric == "throughput")
    assert throughput.head is not None
    assert rows["thread/echo/time per answer"]["value"] == pytest.approx(1e6 / throughput.head)
    assert all(row.keys() == {"name", "unit", "value", "range", "extra"} for row in rows.values())


def test_the_workflow_calls_what_there_is() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = "".join(path.read_text("utf-8") for path in (ROOT / "bench" / "verbs").glob("*.py"))
    assert "bash .ci/run" in workflow
    assert re.search(r"^gate:", makefile, flags=re.MULTILINE)
    (options,) = re.findall(r'GATE_OPTIONS="([^"]*)"', workflow)
    pages = workflow + (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    for option in {*re.findall(r"--[a-z-]+", options), *re.findall(r"`(--[a-z-]+)", pages)}:
        field = option.removeprefix("--").replace("-", "_")
        declared = re.search(rf"^    {field}: Annotated", verbs, re.MULTILINE)
        assert declared or f'"{option}"' in verbs, option
