"""Charts of the studies of datagrams: UDP beside TCP, loss against rate, CPU against size."""

from __future__ import annotations

__all__ = ["loss", "sizes", "transports"]

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from reports.cells.families import Chosen, chosen_on
from reports.cells.ladders import Ladder
from reports.cells.report import Report
from reports.cells.workload import Cell
from reports.charts.style import (
    FAINT,
    GREY,
    INK,
    End,
    Looks,
    facts,
    label_ends,
    log_durations,
    looks_of,
    new_frame,
    room_for,
    thousands,
)
from reports.metrics import CPU, LOST, THROUGHPUT, Metric
from reports.studies.udp import beside
from reports.studies.udp_loss import buffers_of
from reports.studies.udp_size import LOOPBACK, links_of

TOP_INCHES, BOTTOM_INCHES, PANEL_INCHES, ROW_INCHES = 1.2, 0.6, 3.4, 0.3
TICKS = 8
GAP = 0.34  # between panels, as a share of one
PANELS = (CPU, THROUGHPUT)


def transports(report: Report) -> Figure | None:
    """Draw the figures of every model over both transports; None without both."""
    found = beside(report)
    cells = [
        (transport, cell)
        for transport, workload in found.items()
        for cell in sorted(workload.cells, key=lambda each: _value(each, CPU))
        if CPU.name in cell.figures
    ]
    if not cells:
        return None
    looks = looks_of(report.run)
    frame = new_frame(
        "ECHO of 64 B: UDP beside TCP",
        f"{facts(report.run, found['udp'].asked)}  \u00b7  medians over trials, line: interval"
        "  \u00b7  hollow: not ranked (unserved, errors or failures)",
        "",
        top=TOP_INCHES,
        axes=ROW_INCHES * len(cells) + 0.2,
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(1, len(PANELS), sharey=True)
    left, right = frame.across(2.3, 0.3)
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, wspace=0.08
    )
    for axes, metric in zip(panels, PANELS, strict=True):
        axes.set_title(f"{metric.title}, {metric.unit}", loc="left", size=10, weight="bold")
        for row, (_, cell) in enumerate(cells):
            _dot(axes, cell, metric, row, looks)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.axhline(len(found["udp"].cells) - 0.5, color=GREY, linewidth=0.8)
        axes.grid(visible=True, axis="x", color=FAINT)
        axes.grid(visible=False, axis="y")
    panels[0].set_ylim(len(cells) - 0.4, -0.6)
    panels[0].set_yticks(
        range(len(cells)), [f"{cell.subject} over {transport.upper()}" for transport, cell in cells]
    )
    panels[0].tick_params(axis="y", length=0, labelcolor=INK)
    return frame.figure


def _value(cell: Cell, metric: Metric) -> float:
    return cell.figures[metric.name].value if metric.name in cell.figures else 0.0


def _dot(axes: Axes, cell: Cell, metric: Metric, row: int, looks: Looks) -> None:
    if metric.name not in cell.figures:
        return
    look, figure = looks.of(cell.model), cell.figures[metric.name]
    axes.plot((figure.low, figure.high), (row, row), color=look.colour, linewidth=2.0)
    axes.plot(
        figure.value, row, marker=look.marker, markersize=7, color=look.colour,
        markerfacecolor=look.colour if cell.ranked else "white",
    )  # fmt: skip


def loss(report: Report) -> Figure | None:
    """Draw a panel for each receive buffer: the share that is lost against the rate offered."""
    ladders = {
        f"receive buffer of {ladder.workloads[0].asked.serving.receive_buffer:,} B": ladder
        for ladder in buffers_of(report)
    }
    return _panels(
        report,
        ladders,
        "Datagrams lost, by rate and receive buffer",
        "share of requests without an answer within the time-out",
        lambda cell: cell.load.rate,
        LOST,
        axis=", log axis",
    )


def sizes(report: Report) -> Figure | None:
    """Draw a panel for each link: CPU per request against the payload."""
    ladders = {
        f"over {name}"
        + (", MTU 1,500: fragments from 1,465 B on" if name != LOOPBACK else ""): each
        for name, each in links_of(report).items()
    }
    return _panels(
        report,
        ladders,
        "CPU of a datagram by its payload",
        "CPU per request, us, log axis",
        lambda cell: cell.load.size_bytes,
        CPU,
        # The largest costs twenty times the smallest, beside which a fragment would not show.
        is_log_up=True,
    )


def _panels(
    report: Report,
    ladders: Mapping[str, Ladder],
    title: str,
    words: str,
    at: Callable[[Cell], float],
    metric: Metric,
    axis: str = "",
    *,
    is_log_up: bool = False,
) -> Figure | None:
    """Draw a panel for each ladder, one under the other; None without any.

    Without a word on the axis its places stand at equal distances.
    """
    if not ladders:
        return None
    looks = looks_of(report.run)
    first = next(iter(ladders.values()))
    chosen = {name: chosen_on(report.run, ladder) for name, ladder in ladders.items()}
    frame = new_frame(
        title,
        f"{facts(report.run, first.workloads[0].asked)}  \u00b7  {words}",
        next((each.sentence for each in chosen.values() if each.sentence), ""),
        top=TOP_INCHES,
        axes=PANEL_INCHES * len(ladders),
        bottom=BOTTOM_INCHES,
    )
    panels = frame.figure.subplots(len(ladders), 1, squeeze=False)[:, 0]
    subjects = (subject for each in chosen.values() for subject in each.subjects)
    left, right = frame.across(0.85, room_for(subjects, 1.9))
    frame.figure.subplots_adjust(
        left=left, right=right, top=frame.top, bottom=frame.bottom, hspace=GAP
    )
    up = _heights(ladders, chosen, metric) if is_log_up else None
    for axes, (name, ladder) in zip(panels, ladders.items(), strict=True):
        axes.set_title(name, loc="left", size=10, weight="bold")
        places = sorted({at(cell) for rung in ladder.workloads for cell in rung.cells})
        if axis:
            _logarithmic(axes, places)
            across = at
        else:
            axes.set_xticks(range(len(places)), [f"{place:,.0f}" for place in places])
            across = partial(_index, places, at)
        _lines(frame.figure, axes, ladder, chosen[name].subjects, looks, across, metric, up)
    panels[-1].set_xlabel(first.axis.words + axis)
    return frame.figure


def _heights(
    ladders: Mapping[str, Ladder], chosen: Mapping[str, Chosen], metric: Metric
) -> tuple[float, float] | None:
    """Return from where to where all panels reach on a logarithmic axis; None without a figure."""
    values = [
        cell.figures[metric.name].value
        for name, ladder in ladders.items()
        for subject in chosen[name].subjects
        for cell in ladder.points(subject)
        if metric.name in cell.figures and cell.figures[metric.name].value > 0
    ]
    return (min(values), max(values)) if values else None


def _index(places: Sequence[float], at: Callable[[Cell], float], cell: Cell) -> float:
    return places.index(at(cell))


def _logarithmic(axes: Axes, places: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.2, places[-1] * 1.2)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))
    axes.xaxis.set_minor_locator(NullLocator())


def _lines(
    figure: Figure,
    axes: Axes,
    ladder: Ladder,
    subjects: Sequence[str],
    looks: Looks,
    at: Callable[[Cell], float],
    metric: Metric,
    log_up: tuple[float, float] | None,
) -> None:
    ends, most = [], 0.0
    for subject in subjects:
        cells = [cell for cell in ladder.points(subject) if metric.name in cell.figures]
        if not cells:
            continue
        look = looks.of(cells[0].model)
        across = [at(cell) for cell in cells]
        up = [cell.figures[metric.name].value for cell in cells]
        axes.plot(
            across, up, color=look.colour, linestyle=look.line, linewidth=1.8,
            marker=look.marker, markersize=6,
        )  # fmt: skip
        most = max(most, *up)
        ends.append(End(across[-1], up[-1], subject, look.colour))
    if log_up:
        log_durations(axes.yaxis, *log_up, TICKS)
    else:
        axes.set_ylim(-0.02 * most, most * 1.08 or 1.0)
    if metric is LOST:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    label_ends(figure, axes, ends)
