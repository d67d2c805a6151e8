"""Verbs that list what there is: models, scenarios, doctor."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from typing import Any

from bench.plan.available import reason_against
from bench.plan.scenarios import DATAGRAMS, FILES, SCENARIOS, STUDIES
from bench.verbs.common import AsJson, Terminal, app, examples
from bench.verbs.tables import plain_table
from servers.catalog import MODELS


@app.command(epilog=examples("models", "models --json"))
def models(as_json: AsJson = False) -> None:
    """List the models."""
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
    _show(rows, ("name", "family", "title", "workers"), as_json)


@app.command(epilog=examples("scenarios", "scenarios --json"))
def scenarios(as_json: AsJson = False) -> None:
    """List the scenarios."""
    rows = []
    for scenario in itertools.chain(
        SCENARIOS.values(), FILES.values(), DATAGRAMS.values(), *STUDIES.values()
    ):
        row = dataclasses.asdict(scenario)
        load, serving = row.pop("load"), row.pop("serving")
        # Their fields stand beside the others, as they always have.
        rows.append({**row, **serving, **load, "level": scenario.level})
    _show(rows, ("name", "level", "placement", "shows"), as_json)


@app.command(epilog=examples("doctor", "doctor --json"))
def doctor(as_json: AsJson = False) -> None:
    """Say what on this machine disturbs the figures.

    Each finding says what to do about it.
    """
    from bench.check.doctor import examine, findings

    rows = [dataclasses.asdict(finding) for finding in findings(examine())]
    _show(rows, ("severity", "sentence", "advice"), as_json)


def _show(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Print a list: all of it as JSON, or the named columns as a table."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    Terminal().print(plain_table(columns, [[str(row[each]) for each in columns] for row in rows]))
