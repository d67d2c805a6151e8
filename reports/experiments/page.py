"""`experiments.html`: a section per finding, in one file that needs nothing but a browser."""

from __future__ import annotations

__all__ = ["page"]

from base64 import b64encode
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.charts.style import render
from reports.experiments.chart import chart
from reports.experiments.finding import VERDICTS
from reports.experiments.record import Finding
from reports.experiments.table import figures_of, interpreter_of, table_of, who_says


def page(findings: Sequence[Finding]) -> str:
    """Return the whole page."""
    environment = Environment(
        loader=PackageLoader("reports.experiments", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        findings=findings,
        verdicts=VERDICTS,
        drawn={found.name: _drawn(found) for found in findings},
        figures_of=figures_of,
        table_of=table_of,
        interpreter_of=interpreter_of,
        who_says=who_says,
    )


def _drawn(finding: Finding) -> str:
    """Return the chart as a URL that holds it; empty where there is nothing to draw."""
    figure = chart(finding)
    if figure is None:
        return ""
    svg = render(figure, f"experiment-{finding.name}")["svg"]
    return "data:image/svg+xml;base64," + b64encode(svg).decode("ascii")
