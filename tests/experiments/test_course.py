"""The map of the course and the page of findings: what they name exists, and nothing is left out."""

from __future__ import annotations

import itertools
import re

from bench.experiments.registry import EXPERIMENTS
from bench.experiments.row import OURS
from bench.plan.scenarios import FILES, SCENARIOS, STUDIES
from servers.catalog import MODELS
from tests.test_docs import ROOT, rows

COURSE = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
FINDINGS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")

# Of the chapters that the experiments cite, up to the last section of each.
CHAPTERS = {2: 6, 3: 2, 5: 13, 6: 13, 8: 3}


def sections(words: str) -> set[str]:
    """Return the sections that `2.5.1-2.5.5` or `5.5, 6.1` stand for."""
    found: set[str] = set()
    for part in words.split(", "):
        first, _, last = part.partition("-")
        stem, _, number = first.rpartition(".")
        numbers = range(int(number), int((last or first).rpartition(".")[2]) + 1)
        found |= {f"{stem}.{each}" if stem else str(each) for each in numbers}
    return found


def test_every_section_of_the_course_is_on_the_map_once_and_shown_by_something() -> None:
    on_the_map = list(rows(COURSE))
    named = [each for section, *_ in on_the_map for each in sections(section)]
    assert len(named) == len(set(named))
    tops = {".".join(each.split(".")[:2]) for each in named}
    assert {
        f"{chapter}.{n}" for chapter, last in CHAPTERS.items() for n in range(1, last + 1)
    } <= tops
    assert {"1", "4", "7"} <= tops
    assert all(shown for *_, shown in on_the_map)


def test_every_section_that_an_experiment_cites_names_the_experiment() -> None:
    by_section = {each: shown for section, _, shown in rows(COURSE) for each in sections(section)}
    for experiment in EXPERIMENTS:
        if experiment.section == OURS:
            assert f"experiment `{experiment.name}`" in COURSE
            continue
        for each in sections(experiment.section):
            assert f"experiment `{experiment.name}`" in by_section[each], (experiment.name, each)


def test_every_experiment_model_and_scenario_on_the_map_exists() -> None:
    there = {
        "experiment": {each.name for each in EXPERIMENTS},
        "model": {each.name for each in MODELS},
        "scenario": {
            each.name
            for each in itertools.chain(SCENARIOS.values(), FILES.values(), *STUDIES.values())
        },
    }
    named = re.findall(r"\b(experiment|model|scenario)\s+`([\w-]+)`", COURSE)
    assert len(named) > 60
    assert [(kind, name) for kind, name in named if name not in there[kind]] == []


def test_the_page_of_findings_has_every_experiment_in_order() -> None:
    assert re.findall(r"^## ([\w-]+)$", FINDINGS, re.MULTILINE) == [row.name for row in EXPERIMENTS]
    summary = [name for name, *_ in rows(FINDINGS) if name.startswith("[")]
    assert summary == [f"[{row.name}](#{row.name})" for row in EXPERIMENTS]
