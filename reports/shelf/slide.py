"""Charts for a slide: 16:9, few models, and letters that are read from the back of a room.

The charts of a report have a reader with time and a screen at hand. Here every letter is at least a
fiftieth of the picture's width high, so there is room for a sentence, a finding and some ten rows.
"""

from __future__ import annotations

__all__ = ["KINDS", "THEMES", "Theme", "slide"]

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.typing import RcKeyType

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.charts.literal import make_literal
from reports.charts.percentiles import curve_of
from reports.charts.style import RC, Looks, log_durations, looks_of, shortened, thousands
from reports.metrics import CPU, P99, PSS_LOADED, THROUGHPUT, Metric
from reports.units import duration

WIDTH_INCHES, HEIGHT_INCHES = 16.0, 9.0
LEAST_POINTS = 72 * WIDTH_INCHES / 50
"""Of a letter's size: a fiftieth of the width."""
TITLE_POINTS = 1.5 * LEAST_POINTS
MOST_MODELS = 10
TITLE_LETTERS, NOTE_LETTERS = 58, 92


class Theme(NamedTuple):
    """The colours of a slide."""

    paper: str
    ink: str
    grid: str


THEMES: Mapping[str, Theme] = {
    "light": Theme("#ffffff", "#1a1a1a", "#d5d8dc"),
    "dark": Theme("#17191c", "#f1f3f4", "#44484d"),
}


def _bars(axes: Axes, workload: Workload, cells: Sequence[Cell], looks: Looks, by: Metric) -> None:
    metric = workload.suited(by)
    shown = [cell for cell in cells if metric.name in cell.figures]
    spreads = [cell.figures[metric.name] for cell in shown]
    at = range(len(shown))
    axes.barh(at, [s.value for s in spreads], color=[looks.of(c.model).colour for c in shown])
    axes.errorbar(
        [s.value for s in spreads], at, fmt="none", elinewidth=3,
        ecolor=axes.xaxis.label.get_color(),
        xerr=[[s.value - min(s.low, s.value) for s in spreads],
              [max(s.high, s.value) - s.value for s in spreads]],
    )  # fmt: skip
    axes.set_yticks(at, [_named(cell, metric) for cell in shown])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: duration(value)) if metric.latency
        else FuncFormatter(thousands)
    )  # fmt: skip
    axes.set_xlabel(f"{metric.title}{'' if metric.latency else f', {metric.unit}'}")


def _named(cell: Cell, metric: Metric) -> str:
    """Return a row's name; what may not be ranked says so, whatever its bar looks like."""
    return cell.subject + " (not ranked)" * (not cell.ranked_by(metric))


def _plane(axes: Axes, workload: Workload, cells: Sequence[Cell], looks: Looks) -> None:
    metric = workload.suited(THROUGHPUT)
    both = [cell for cell in cells if {metric.name, P99.name} <= cell.figures.keys()]
    latencies = [cell.figures[P99.name].value for cell in both]
    for cell in both:
        look = looks.of(cell.model)
        axes.plot(
            cell.figures[metric.name].value, cell.figures[P99.name].value, marker=look.marker,
            markersize=22, color=look.colour, label=_named(cell, metric), linestyle="none",
        )  # fmt: skip
    log_durations(axes.yaxis, min(latencies), max(latencies), wanted=4)
    axes.set_xlim(left=0)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.set_xlabel(f"{metric.title}, {metric.unit}")
    axes.set_ylabel(f"{P99.title}, log axis")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), handletextpad=0.2)


def _percentiles(axes: Axes, _workload: Workload, cells: Sequence[Cell], looks: Looks) -> None:
    found = [(cell, curve_of(cell.answered, cell.unanswered)) for cell in cells]
    curves = [(cell, curve) for cell, curve in found if curve is not None]
    ends = []
    for cell, curve in curves:
        look = looks.of(cell.model)
        known = slice(max(curve.bound_from, 1))  # beyond there are lower bounds only
        axes.plot(
            curve.nines[known], curve.latency_us[known], color=look.colour, linestyle=look.line,
            linewidth=5, label=cell.subject,
        )  # fmt: skip
        ends += [float(curve.latency_us[0]), float(curve.latency_us[known][-1])]
    axes.set_xscale("log")
    ticks = (50.0, 90.0, 99.0, 99.9)
    axes.set_xticks([100 / (100 - tick) for tick in ticks], [f"p{tick:g}" for tick in ticks])
    axes.minorticks_off()
    log_durations(axes.yaxis, min(ends), max(ends), wanted=4)
    axes.set_xlabel("Percentile of requests")
    axes.set_ylabel("Latency, log axis")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), handlelength=1.4)


class Kind(NamedTuple):
    """One kind of slide."""

    says: str
    metric: Metric  # by which its models stand in order
    draw: Callable[[Axes, Workload, Sequence[Cell], Looks], None]
    needs: Metric  # a figure without which nothing can be drawn


def _bars_by(metric: Metric) -> Callable[[Axes, Workload, Sequence[Cell], Looks], None]:
    return lambda axes, workload, cells, looks: _bars(axes, workload, cells, looks, metric)


KINDS: Mapping[str, Kind] = {
    "throughput": Kind("throughput", THROUGHPUT, _bars_by(THROUGHPUT), THROUGHPUT),
    "p99": Kind("p99 latency", P99, _bars_by(P99), P99),
    "cpu": Kind("CPU per request", CPU, _bars_by(CPU), CPU),
    "memory": Kind("memory under load", PSS_LOADED, _bars_by(PSS_LOADED), PSS_LOADED),
    "plane": Kind("p99 latency against throughput", THROUGHPUT, _plane, P99),
    "percentiles": Kind("latency from p50 on", P99, _percentiles, P99),
}
"""A kind of slide is a function and a row."""


def slide(
    report: Report, kind: str, workload: Workload, models: Sequence[str], theme: str, width: int
) -> Callable[[str], bytes] | None:
    """Draw a kind of one workload; return what renders it as `png` or `svg`, `width` pixels wide.

    None when no model that is asked for has the figure. Without `models` the best ten are drawn.
    """
    row, colours = KINDS[kind], THEMES[theme]
    ordered = [
        cell
        for cell in workload.ordered(workload.suited(row.metric))
        if workload.suited(row.needs).name in cell.figures and (not models or cell.model in models)
    ]
    cells = ordered[:MOST_MODELS]
    if not cells:
        return None
    lead = report.answers.lead(workload, row.metric)
    finding = f"{lead.names}: {lead.figure}" if lead and lead.told else "nobody is told first"
    rest = len(ordered) - len(cells)
    run = report.run
    note = f"{finding}  \N{MIDDLE DOT}  {run.started[:10]}, {run.machine.get('cpu', '')}"
    note += f"  \N{MIDDLE DOT}  {rest} more not shown" * bool(rest)
    with rc_context({**RC, **_letters(colours)}):
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), facecolor=colours.paper)
        figure.text(
            0.03, 0.965, shortened(f"{workload.scenario}: {row.says}", TITLE_LETTERS),
            size=TITLE_POINTS, weight="bold", va="top", color=colours.ink,
        )  # fmt: skip
        figure.text(
            0.03, 0.875, shortened(workload.level, NOTE_LETTERS), size=LEAST_POINTS, va="top",
            color=colours.ink,
        )  # fmt: skip
        figure.text(
            0.03, 0.025, shortened(note, NOTE_LETTERS), size=LEAST_POINTS, va="bottom",
            color=colours.ink,
        )  # fmt: skip
        axes = figure.add_axes((0.27, 0.235, 0.68, 0.555))
        if row.draw in (_plane, _percentiles):
            axes.set_position((0.13, 0.235, 0.56, 0.555))
        row.draw(axes, workload, cells, looks_of(run))

    def render(suffix: str) -> bytes:
        make_literal(figure)
        FigureCanvasAgg(figure)
        metadata = {"Software": None} if suffix == "png" else {"Date": None, "Creator": None}
        with BytesIO() as file, rc_context({**RC, **_letters(colours)}):
            figure.savefig(
                file, format=suffix, dpi=width / WIDTH_INCHES, metadata=metadata,
                facecolor=colours.paper,
            )  # fmt: skip
            return file.getvalue()

    return render


def _letters(colours: Theme) -> dict[RcKeyType, Any]:
    """Return what a slide has in place of a report's settings."""
    inks: Sequence[RcKeyType] = (
        "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color",
        "xtick.labelcolor", "ytick.labelcolor",
    )  # fmt: skip
    sizes: Sequence[RcKeyType] = (
        "font.size",
        "axes.labelsize",
        "xtick.labelsize",
        "ytick.labelsize",
        "legend.fontsize",
    )
    return {
        **dict.fromkeys(inks, colours.ink),
        **dict.fromkeys(sizes, LEAST_POINTS),
        "axes.facecolor": colours.paper,
        "grid.color": colours.grid,
    }
