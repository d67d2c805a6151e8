"""The report as one HTML page that needs nothing but a browser: charts and script are inside."""

from __future__ import annotations

__all__ = ["Experiment", "experiments_of", "page"]

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.cells.answers import LEAST_TRIALS
from reports.cells.heat import HEAT_METRICS, heat_of
from reports.cells.ladders import Ladder, knee_of
from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.charts.gallery import Chart, slug
from reports.charts.style import looks_of
from reports.metrics import CPU, METRICS, P50, P99, PSS_LOADED, RATE, Metric, headlines
from reports.page.live import live_parts
from reports.stats import coverage
from reports.studies.registry import sections_of
from reports.studies.section import listed
from reports.units import duration, number
from reports.untrusted import checked, read_json, take

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


QUESTIONS: Sequence[tuple[str, Metric | None]] = (
    ("First", None),  # by the workload's own headline figure
    ("Lowest p99 latency", P99),
    ("Least CPU", CPU),
    ("Least memory under load", PSS_LOADED),
)
"""What the summary asks of each workload."""


class Experiment(NamedTuple):
    """One row of pytest-benchmark's figures."""

    group: str
    name: str
    median: str
    iqr: str
    rounds: int


def page(
    report: Report,
    charts: Sequence[Chart],
    experiments: Sequence[Experiment] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Return the whole page."""
    run, workloads, looks = report.run, report.workloads, looks_of(report.run)
    # A run that was cut short or went on for precision has not the blocks that it set out for.
    trials = max((len(cell.trials) for each in workloads for cell in each.cells), default=0)
    environment = Environment(
        loader=PackageLoader("reports.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "inline": _inline,
        "slug": slug,
        "duration": duration,
        "headlines": _headlines,
        "others": _others,
    }
    return environment.get_template("page.html.j2").render(
        run=run,
        axis=report.interpreters,
        workloads=workloads,
        charts=charts,
        experiments=experiments,
        warnings=warnings,
        shortfall=report.shortfall,
        distrust=_distrust(report),
        recommendations=[row for row in report.answers.recommendations if row.leads],
        unmeasured=[row.need for row in report.answers.recommendations if not row.leads],
        command=_command(report),
        heats=[heat_of(report, name) for name in HEAT_METRICS],
        questions=[title for title, _ in QUESTIONS],
        answers=[
            [report.answers.lead(workload, metric or workload.headline) for _, metric in QUESTIONS]
            for workload in workloads
            if workload.comparable
        ],
        first_of=_first_of(workloads),
        ranks=report.ranks_by_headline,
        sections=sections_of(report),
        knees=_knees(report.ladders),
        knee_metrics=(RATE, P50, P99, CPU),
        facts=machine_facts(run.machine),
        placements=sorted({workload.asked.serving.placement for workload in workloads}),
        served_before=sum(
            trial.sample.served_before
            for each in workloads
            for cell in each.cells
            for trial in cell.trials
        ),
        coverage=f"{coverage(trials):.4g}",
        colour_of=lambda model: looks.of(model).colour,
        live=live_parts(report),
    )


def _distrust(report: Report) -> str:
    """Return what a reader must know to distrust a figure, in a sentence."""
    run, machine = report.run, report.run.machine
    cpus = machine.get("cpus_allowed", machine.get("cpus"))
    blocks = max((len(c.trials) for w in report.workloads for c in w.cells), default=0)
    # Of the servers, where these have interpreters of their own.
    pythons = run.interpreters or [machine]
    build = [
        *(["a virtual machine"] if machine.get("hypervisor") else []),
        *(
            f"{listed(named)} {words}"
            for fact, unusual, words in UNUSUAL
            if (
                named := [
                    str(p.get("name") or "a Python") for p in pythons if p.get(fact) is unusual
                ]
            )
        ),
    ]
    parts = [
        f"windows of {run.window_seconds:g} s",
        f"up to {blocks} trials of a cell",
        *([f"{cpus} CPUs for server and generator together"] if cpus else []),
        _traffic(report),
        *build,
    ]
    return f"How far to trust a figure: {', '.join(parts)}."


def _traffic(report: Report) -> str:
    """Return what the requests went over, in words."""
    titles = dict.fromkeys(
        topology.title
        for workload in report.workloads
        for cell in workload.cells
        for trial in cell.trials
        if (topology := trial.sample.topology).server
    )
    if not titles:
        return "all traffic over the loopback interface of one machine"
    return f"traffic between hosts ({'; '.join(titles)})"


UNUSUAL = (
    ("gil", False, "without the GIL"),
    ("optimized", False, "built without optimization"),
)
"""Facts about a Python, the value that makes a reader wonder, and what is said then."""


def _command(report: Report) -> str:
    """Return the command that would answer the needs that this run has no answer for."""
    leads = [lead for row in report.answers.recommendations for lead in row.leads]
    wanted = [
        row.need.scenarios.split(" or ")[0]
        for row in report.answers.recommendations
        if not row.leads
    ]
    wanted += [lead.workload.scenario for lead in leads if lead.untold]
    models = " --models all" if any("nothing to compare" in lead.untold for lead in leads) else ""
    names = ",".join(dict.fromkeys(wanted))
    return f"threadmill run --scenarios {names} --blocks {LEAST_TRIALS}{models}" if names else ""


def experiments_of(text: bytes | str) -> list[Experiment]:
    """Return the rows of pytest-benchmark's JSON; UntrustedError when it is something else."""
    return [_experiment(row) for row in take(read_json(text), "benchmarks", list)]


def _experiment(row: object) -> Experiment:
    stats = take(row, "stats", dict)
    return Experiment(
        group=_words(row, "group"),
        name=_words(row, "param") or take(row, "name", str),
        median=duration(take(stats, "median", float) * 1e6),
        iqr=duration(take(stats, "iqr", float) * 1e6),
        rounds=take(stats, "rounds", int),
    )


def _words(row: object, name: str) -> str:
    value = take(row, name, object)
    return "" if value is None else checked(name, value, str)


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


def _first_of(workloads: Sequence[Workload]) -> dict[str, Workload]:
    """Return the first workload of each scenario, in the run's order."""
    first: dict[str, Workload] = {}
    for workload in workloads:
        first.setdefault(workload.scenario, workload)
    return first


def _headlines(workload: Workload) -> list[Metric]:
    return [workload.suited(metric) for metric in headlines(workload.asked)]


def _others(workload: Workload) -> list[Metric]:
    """Return the figures beside the headlines that any model of the workload has."""
    return [
        metric
        for metric in METRICS
        if metric not in _headlines(workload)
        and any(metric.name in cell.figures for cell in workload.cells)
    ]


def _knees(ladders: Sequence[Ladder]) -> list[tuple[Ladder, list[tuple[Cell, Cell | None]]]]:
    """Return each ladder of rates with a cell of every model, and its knee."""
    return [
        (ladder, [(points[0], knee_of(points)) for points in map(ladder.points, ladder.models)])
        for ladder in ladders
        if ladder.axis.field == "rate"
    ]


_IDS = re.compile(r' id="([^"]+)"')
_REFERENCES = re.compile(r'(url\(#|href="#)([^")]+)')
_ASIDE = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", re.DOTALL)


def _inline(chart: Chart) -> Markup:
    """Return a chart as a part of the page: text is text there, and has a title and a description.

    It is what matplotlib wrote, which escapes every word that it draws. Of its ids those that
    something refers to stay, with the chart's name before them: all charts share one page.
    """
    svg = chart.images["svg"].decode()
    svg = _ASIDE.sub("", svg[svg.index("<svg") :])
    used = {found[1] for found in _REFERENCES.findall(svg)}
    svg = _IDS.sub(lambda m: f' id="{chart.name}-{m[1]}"' if m[1] in used else "", svg)
    svg = _REFERENCES.sub(lambda m: f"{m[1]}{chart.name}-{m[2]}", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    of, _, shows = chart.says.partition(": ")
    return Markup(  # noqa: S704  # an SVG of our own; what it is called is escaped
        f'{head} role="img" aria-labelledby="{chart.name}-t {chart.name}-d">'
        f'<title id="{chart.name}-t">{escape(of)}</title>'
        f'<desc id="{chart.name}-d">{escape(shows)}</desc>{rest}'
    )
