"""Verbs that list what there is: models, scenarios, doctor."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.plan.available import reason_against
from bench.plan.scenario import Scenario
from bench.plan.scenarios import DATAGRAMS, EXEC, FILES, SCENARIOS, STUDIES
from bench.plan.summary import parameters
from bench.verbs.common import AsJson, Terminal, app, examples, warn
from bench.verbs.tables import plain_table
from servers.catalog import MODELS

MODEL_WORDS = {
    "workers": "the threads or processes of a pool (run --workers changes them); - has no pool.",
}
SCENARIO_WORDS = {
    "split": "server and generator have CPUs of their own.",
    "same": "server and generator share one CPU.",
    "free": "server and generator may both use all CPUs.",
    "rounds": "additions that a request has the server make; 75,000 are about 2 ms in CPython.",
    "some": "not every level of the scenario has it.",
}
"""What words of the tables mean, which is said below them."""


@app.command(epilog=examples("models", "models --json"))
def models(as_json: AsJson = False) -> None:
    """List the models, and how each serves.

    JSON says more of each: what it needs, and whether it can run here.
    """
    rows = [
        {
            "name": model.name,
            "family": model.family,
            "title": model.title,
            "transport": model.transport,
            "unit": model.unit,
            "workers": model.workers,
            "serves": model.serves,
            "needs": list(model.needs),
            "python": ".".join(map(str, model.python)),
            "when_full": model.when_full,
            "available": not (reason := reason_against(model)),
            "reason": reason,
        }
        for model in MODELS
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = [{**row, "workers": row["workers"] or "-"} for row in rows]
    _print(("name", "family", "title", "workers"), shown)
    _explain(MODEL_WORDS)
    for row in rows:
        if row["reason"]:
            warn(f"cannot run here: {row['reason']}")


@app.command(epilog=examples("scenarios", "scenarios --json"))
def scenarios(as_json: AsJson = False) -> None:
    """List the scenarios, and how their loads differ.

    JSON has a row for each level of a scenario.
    """
    levels = list(
        itertools.chain(
            SCENARIOS.values(), FILES.values(), (EXEC,), DATAGRAMS.values(), *STUDIES.values()
        )
    )
    if as_json:
        rows = []
        for scenario in levels:
            row = dataclasses.asdict(scenario)
            load, serving = row.pop("load"), row.pop("serving")
            # Their fields stand beside the others, as they always have.
            rows.append({**row, **serving, **load, "level": scenario.level})
        print(json.dumps(rows, indent=2))
        return
    named: dict[str, list[Scenario]] = {}
    for scenario in levels:
        named.setdefault(scenario.name, []).append(scenario)
    shown = [
        {
            "name": name,
            "parameters": parameters(those),
            "placement": " or ".join(dict.fromkeys(each.serving.placement for each in those)),
            "shows": those[0].shows,
        }
        for name, those in named.items()
    ]
    _print(("name", "parameters", "placement", "shows"), shown)
    _explain(SCENARIO_WORDS)


@app.command(epilog=examples("doctor", "doctor --json"))
def doctor(as_json: AsJson = False) -> None:
    """Say what on this machine disturbs the figures.

    Each finding says what to do about it.
    """
    from bench.check.doctor import examine, findings

    rows = [dataclasses.asdict(finding) for finding in findings(examine())]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    _print(("severity", "sentence", "advice"), rows)


def _print(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Print the named columns as a table."""
    Terminal().print(plain_table(columns, [[str(row[each]) for each in columns] for row in rows]))


def _explain(words: Mapping[str, str]) -> None:
    """Print what words of a table mean, below it."""
    terminal = Terminal()
    terminal.print()
    for word, meaning in words.items():
        terminal.print(f"{word}: {meaning}", highlight=False)
