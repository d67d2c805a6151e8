"""The report as one HTML page that needs nothing but a browser: charts are inside, no scripts."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.cells import Workload
from reports.charts import Chart, slug
from reports.leaders import QUESTIONS, TRIALS_TO_TELL, Leader, leader_of
from reports.metrics import HEADLINES, METRICS
from reports.record import Run
from reports.style import style_of
from reports.units import duration, number

MACHINE_WORDS: Mapping[str, str] = {
    "cpu": "CPU",
    "cpus": "CPUs",
    "cpus_allowed": "CPUs it may use",
    "memory_bytes": "Memory",
    "hypervisor": "Virtual machine",
    "kernel": "Kernel",
    "python": "Python",
    "python_build": "Python build",
    "compiler": "Compiler",
    "optimized": "Optimized build",
    "gil": "GIL",
    "libraries": "Libraries",
    "descriptor_limit": "Descriptor limit",
    "somaxconn": "Backlog limit",
    "commit": "Commit",
}
"""How the facts of the machine are called on the page; one without a row goes by its key."""


class Experiment(NamedTuple):
    """One row of pytest-benchmark's figures."""

    group: str
    name: str
    median: str
    iqr: str
    rounds: int


def page(
    run: Run,
    workloads: Sequence[Workload],
    charts: Sequence[Chart],
    experiments: Sequence[Experiment] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Return the whole page."""
    environment = Environment(
        loader=PackageLoader("reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_url": _data_url, "slug": slug}
    return environment.get_template("page.html.j2").render(
        run=run,
        workloads=workloads,
        charts=charts,
        experiments=experiments,
        warnings=warnings,
        questions=QUESTIONS,
        answers=[
            [_answer(leader_of(workload, question)) for question in QUESTIONS]
            for workload in workloads
        ],
        headlines=HEADLINES,
        others=[metric for metric in METRICS if metric not in HEADLINES],
        facts=machine_facts(run.machine),
        placements=sorted({workload.load.placement for workload in workloads}),
        trials_to_tell=TRIALS_TO_TELL,
        colour_of=lambda model: style_of(model).colour,
    )


def experiments_of(text: str) -> list[Experiment]:
    """Return the rows of pytest-benchmark's JSON; ValueError when it is something else."""
    try:
        rows = json.loads(text)["benchmarks"]
        return [
            Experiment(
                group=row["group"] or "",
                name=row["param"] or row["name"],
                median=duration(row["stats"]["median"] * 1e6),
                iqr=duration(row["stats"]["iqr"] * 1e6),
                rounds=row["stats"]["rounds"],
            )
            for row in rows
        ]
    except (TypeError, KeyError) as error:
        raise ValueError(f"not the JSON of pytest-benchmark: {error!r}") from error


def machine_facts(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the machine's facts as pairs of words, in the order of MACHINE_WORDS."""
    known = [key for key in MACHINE_WORDS if key in machine]
    others = [key for key in machine if key not in MACHINE_WORDS]
    return [(MACHINE_WORDS.get(key, key), _fact(key, machine[key])) for key in known + others]


def _fact(key: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {version}" for name, version in value.items())
        case int() if key.endswith("_bytes"):
            return f"{number(value / 2**30)} GiB"
        case int():
            return f"{value:,}"
    return str(value)


class _Answer(NamedTuple):
    """A cell of the summary: who is best, by how much, and how sure that is."""

    model: str
    figure: str
    extent: str
    remark: str


def _answer(leader: Leader | None) -> _Answer | None:
    if leader is None:
        return None
    metric = leader.question.metric
    unit = "" if metric.latency else metric.unit  # written latencies carry theirs
    remark = ""
    if not leader.told:
        remark = "too few trials to tell"
    elif leader.level_with:
        remark = "not told apart from " + ", ".join(cell.model for cell in leader.level_with)
    return _Answer(
        model=leader.cell.model,
        figure=f"{leader.cell.write(metric)} {unit}".strip(),
        extent=leader.cell.write_range(metric),
        remark=remark,
    )


def _data_url(svg: bytes) -> str:
    """Return an image as a URL that holds it; so embedded, an SVG keeps its ids to itself."""
    return "data:image/svg+xml;base64," + b64encode(svg).decode("ascii")
