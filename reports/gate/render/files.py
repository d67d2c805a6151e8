"""The files that a gate writes when it is given their names, and who renders each."""

from __future__ import annotations

__all__ = ["RENDERERS"]

import json
from collections.abc import Callable, Mapping

from reports.gate.render.action_benchmark import entries
from reports.gate.render.junit import junit
from reports.gate.render.markdown import markdown
from reports.gate.verdicts import GateReport

RENDERERS: Mapping[str, Callable[[GateReport], str]] = {
    "json": lambda report: json.dumps(report.to_json(), indent=2) + "\n",
    "markdown": markdown,
    "junit": junit,
    "action_benchmark": lambda report: json.dumps(entries(report), indent=2) + "\n",
}
