"""What makes the page answer to a reader: its script, the drawing library and the specs.

All of it stands in the page, which therefore needs neither a server nor the network. Of Vega it is
the runtime alone, as its makers publish it; what it draws was compiled from Vega-Lite when the
specs were written (`tests/vega/compile.mjs`), not when a report is.
"""

from __future__ import annotations

__all__ = ["RUNTIME", "RUNTIME_SHA256", "RUNTIME_VERSION", "SPECS", "live_parts"]

import json
from collections.abc import Mapping
from importlib.resources import files

from markupsafe import Markup

from reports.cells.report import Report
from reports.page.data import block_of, json_in_html

RUNTIME = "vega.min.js"
RUNTIME_VERSION = "6.4.0"
RUNTIME_SHA256 = "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f"
"""Of the file in npm's `vega`, build/vega.min.js; BSD-3-Clause, its licence beside it."""
SPECS = ("figures", "plane", "curve", "time", "trials")

_LIVE = files("reports.page") / "live"


def live_parts(report: Report) -> Mapping[str, Markup]:
    """Return what the template puts into its elements: style, data, specs, runtime and script."""
    specs = {name: json.loads(_read(f"specs/{name}.vg.json")) for name in SPECS}
    return {
        "style": Markup(_read("page.css")),  # noqa: S704  # a file of ours
        "data": Markup(json_in_html(block_of(report))),  # noqa: S704  # escaped where it is made
        "specs": Markup(json_in_html(specs)),  # noqa: S704  # escaped where it is made
        "runtime": Markup(_read(RUNTIME)),  # noqa: S704  # whose hash a test knows
        "script": Markup(_read("page.js")),  # noqa: S704  # a file of ours
    }


def _read(name: str) -> str:
    return (_LIVE / name).read_text(encoding="utf-8")
