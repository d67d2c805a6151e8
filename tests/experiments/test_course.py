"""The map of the course and the page of findings: what they name exists, nothing is left out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from bench.experiments.registry import EXPERIMENTS
from bench.experiments.row import OURS
from bench.plan.scenarios import FILES, SCENARIOS, STUDIES
from servers.catalog import MODELS
from tests.test_docs import ROOT, rows

COURSE = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
FINDINGS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")

NAMED = (
    "2.3.3 2.3.5 2.4 2.5 2.5.1 2.5.2 2.5.3 2.5.4 2.5.5 2.5.7 2.6 3.2 5.1 5.3 5.4 5.5 5.6 5.7 5.9"
    " 5.10 5.11 5.12 5.13 6.1 6.3 6.5 6.6 6.7 6.8 6.9 6.10 6.11 6.12 6.13 7 8.1 8.2"
)
"""The sections of the course that a claim was taken from."""


def sections(words: str) -> set[str]:
    """Return the sections that `2.5.1-2.5.5` or `5.5, 6.1` stand for."""
    found: set[str] = set()
    for part in words.split(", "):
        first, _, last = part.partition("-")
        stem, _, number = first.rpartition(".")
        numbers = range(int(number), int((last or first).rpartition(".")[2]) + 1)
        found |= {f"{stem}.{each}" if stem else str(each) for each in numbers}
    return found


def numbered() -> Iterator[tuple[str, str]]:
    """Yield each numbered section on the map with what shows it."""
    for words, _, shown in rows(COURSE):
        if words[0].isdigit():
            yield from ((each, shown) for each in sorted(sections(words)))


def test_every_section_of_the_course_is_on_the_map_once_and_shown_by_something() -> None:
    assert sorted(each for each, _ in numbered()) == sorted(NAMED.split())
    assert all(re.search(r"(experiment|model|scenario) `", shown) for _, shown in numbered())


def test_what_lies_below_sockets_has_a_line_that_says_why_not() -> None:
    (line,) = [row for row in rows(COURSE) if not row[0][0].isdigit()]
    assert all(word in line[1] for word in ("cabling", "IP", "ARP", "DHCP", "DNS"))
    assert "loopback" in line[2]


def test_every_section_that_an_experiment_cites_names_the_experiment() -> None:
    by_section = dict(numbered())
    for experiment in EXPERIMENTS:
        if experiment.section == OURS:
            assert f"experiment `{experiment.name}`" in COURSE
            continue
        for each in sections(experiment.section):
            assert f"experiment `{experiment.name}`" in by_section[each], (experiment.name, each)


def test_every_experiment_model_and_scenario_on_the_map_exists() -> None:
    scenarios = itertools.chain(SCENARIOS.values(), FILES.values(), *STUDIES.values())
    there = {
        "experiment": {each.name for each in EXPERIMENTS},
        "model": {each.name for each in MODELS},
        "scenario": {each.name for each in scenarios},
    }
    named = re.findall(r"\b(experiment|model|scenario)\s+`([\w-]+)`", COURSE)
    assert len(named) > 50
    assert [(kind, name) for kind, name in named if name not in there[kind]] == []


def test_experiments_stand_in_the_order_of_the_course() -> None:
    order = [
        tuple(map(int, row.section.partition(", ")[0].partition("-")[0].split(".")))
        for row in EXPERIMENTS
        if row.section != OURS
    ]
    assert order == sorted(order)
    assert {row.section for row in EXPERIMENTS[len(order) :]} == {OURS}


def test_the_page_of_findings_has_every_experiment_in_order() -> None:
    assert re.findall(r"^## ([\w-]+)$", FINDINGS, re.MULTILINE) == [row.name for row in EXPERIMENTS]
    summary = [name for name, *_ in rows(FINDINGS) if name.startswith("[")]
    assert summary == [f"[{row.name}](#{row.name})" for row in EXPERIMENTS]
