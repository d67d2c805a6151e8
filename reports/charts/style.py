"""What all charts look like: a model's colour, marker and line, the header, ticks and labels.

A model has the same colour in every chart. Colours are Okabe and Ito's, safe for the
colour-blind, without their yellow, which vanishes on white. Kinship shows: threads are blue and
green, processes orange and red, event loops violet. Markers and line styles tell models apart in
greyscale as well.
"""

from __future__ import annotations

__all__ = [
    "FAINT",
    "GREY",
    "INK",
    "RC",
    "WARNING",
    "WIDTH_INCHES",
    "facts",
    "label_ends",
    "log_durations",
    "new_figure",
    "pale",
    "render",
    "shortened",
    "style_of",
    "thousands",
]

import math
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.typing import RcKeyType

from reports import units
from reports.charts.literal import make_literal
from reports.record import Run, Sample

INK = "#1a1a1a"
GREY = "#5f6368"
FAINT = "#d5d8dc"
WARNING = "#b3261e"
WIDTH_INCHES = 12.8


class ModelStyle(NamedTuple):
    """How one model is drawn."""

    colour: str
    marker: str
    line: Any  # a matplotlib line style: a name, or an (offset, dashes) pair


MODELS = {
    "serial": ModelStyle("#3c3c3c", "o", "-"),
    "thread": ModelStyle("#0072b2", "s", "-"),
    "process": ModelStyle("#d55e00", "^", "-"),
    "socketserver": ModelStyle("#56b4e9", "D", (0, (5, 1.5))),
    "thread-pool": ModelStyle("#009e73", "P", (0, (6, 1.5, 1, 1.5))),
    "process-pool": ModelStyle("#e69f00", "v", (0, (5, 1.5))),
    "coroutine": ModelStyle("#cc79a7", "X", "-"),
    "asyncio": ModelStyle("#882255", "*", (0, (5, 1.5))),
}
# For models without a row; which one follows from the name alone, so that it is the same in
# every chart and every run.
SPARE_COLOURS = ("#332288", "#999933", "#44aa99", "#aa4499", "#661100", "#6699cc", "#117733")
SPARE_MARKERS = ("h", "p", "<", ">", "d")

TICK_STEPS: Sequence[tuple[int, tuple[float, ...]]] = (
    (3, (1,)),
    (2, (1,)),
    (1, (1,)),
    (1, (1, 3)),
    (1, (1, 2, 5)),
    (1, (1, 1.5, 2, 3, 5, 7)),
    (1, tuple(n / 10 for n in range(10, 100, 5))),
)
"""Where a log axis may have its ticks, from few to many: in every which decade, and where in it."""

RC: dict[RcKeyType, Any] = {
    # The generic family: matplotlib takes the first of its list that is installed (it ships DejaVu
    # Sans), and the SVG names the whole list for its reader's browser.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Segoe UI", "Helvetica", "Arial", "sans-serif"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 120,
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "svg.hashsalt": "threadmill",  # the same figures give the same file
}


def style_of(model: str) -> ModelStyle:
    """Return how a model is drawn, the same in every chart."""
    number = zlib.crc32(model.encode())
    spare = ModelStyle(
        SPARE_COLOURS[number % len(SPARE_COLOURS)], SPARE_MARKERS[number % len(SPARE_MARKERS)], "-"
    )
    return MODELS.get(model, spare)


def facts(run: Run, asked: Sample) -> str:
    """Return the line under every title: when, on what, and where the processes ran.

    Of a single connection most is the machine's waking up, so what that costs stands beside it.
    """
    when = run.started[:16].replace("T", " ") + " UTC"
    wake_up_ns = run.wake_up_ns.get(asked.placement, 0.0) if asked.load.connections == 1 else 0.0
    parts = (
        when,
        run.machine.get("python"),
        run.machine.get("cpu"),
        f"placement {asked.placement}",
        wake_up_ns and f"null server's round trip {units.duration(wake_up_ns / 1e3)}",
    )
    return "  ·  ".join(str(part) for part in parts if part)


def new_figure(height_inches: float, title: str, subtitle: str) -> Figure:
    """Return a figure of the usual width with its header; the room for axes is below 0.8 inches."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches))
    left = 0.25 / WIDTH_INCHES
    figure.text(left, 1 - 0.18 / height_inches, title, size=14, weight="bold", va="top")
    figure.text(left, 1 - 0.48 / height_inches, subtitle, size=9, color=GREY, va="top")
    return figure


def render(figure: Figure, name: str) -> dict[str, bytes]:
    """Return the figure as PNG and SVG, by suffix; the same figures give the same bytes."""
    images = {}
    make_literal(figure)
    FigureCanvasAgg(figure)
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        # Ids in an SVG come from the salt: told apart, charts can share one page.
        with BytesIO() as file, rc_context({"svg.hashsalt": name}):
            figure.savefig(file, format=kind, metadata=metadata)
            images[kind] = file.getvalue()
    return images


def log_durations(axis: Axis, low_us: float, high_us: float, wanted: float) -> None:
    """Give a log axis of microseconds its limits and about `wanted` round ticks with their unit."""
    low, high = low_us / 1.25, high_us * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    choices = [
        [
            step * 10.0**power
            for power in powers
            for step in steps
            if power % every == 0 and low <= step * 10.0**power <= high
        ]
        for every, steps in TICK_STEPS
    ]
    axes = axis.axes
    along_x = axis is axes.xaxis
    (axes.set_xscale if along_x else axes.set_yscale)("log")
    (axes.set_xlim if along_x else axes.set_ylim)(low, high)
    axis.set_major_locator(FixedLocator(min(choices, key=lambda ticks: abs(len(ticks) - wanted))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def thousands(value: float, _position: int) -> str:
    """Write a tick of a linear axis: 30,000 or 0.5 (a formatter in matplotlib's form)."""
    return f"{value:,.10g}"


def _tick(value_us: float) -> str:
    """Return a tick without the zeros that a measured figure would keep: 2 ms, not 2.00 ms."""
    figure, unit = units.duration(value_us).split(" ")
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure} {unit}"


def pale(colour: str, share: float) -> tuple[float, float, float]:
    """Return `share` of a colour on white; opaque, so that no grid line shows through."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def label_ends(
    figure: Figure,
    axes: Axes,
    ends: Sequence[tuple[float, float, str, str]],
    gap_points: float = 13,
) -> None:
    """Write a label right of the axes for each line end (x, y, words, colour), none over another.

    A thin line leads from the end of the curve to its label where the label had to move.
    """
    height_points = axes.get_position().height * figure.get_figheight() * 72
    to_share = (axes.transScale + axes.transLimits).transform
    placed = sorted(
        (float(to_share((x, y))[1]), x, y, words, colour) for x, y, words, colour in ends
    )
    shares = spread_apart([share for share, *_ in placed], gap_points / height_points)
    for share, (_, x, y, words, colour) in zip(shares, placed, strict=True):
        axes.annotate(
            words,
            xy=(x, y),
            xytext=(1.03, share),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": pale(colour, 0.5),
                "linewidth": 0.6,
                "relpos": (0, 0.5),
            },
        )


def spread_apart(positions: Sequence[float], gap: float) -> list[float]:
    """Return ascending positions in 0..1 moved as little as it takes to be `gap` apart.

    The mean of pushing all up and pushing all down keeps a crowd where it was; what then leaves
    0..1 is pushed back in. (Too many for the room run over the lower end.)
    """
    up = _pushed(positions, gap)
    down = [-position for position in _pushed([-p for p in reversed(positions)], gap)][::-1]
    moved = [(one + other) / 2 for one, other in zip(up, down, strict=True)]
    moved = _pushed(moved, gap, 0.0)
    return [-position for position in _pushed([-p for p in reversed(moved)], gap, -1.0)][::-1]


def _pushed(positions: Sequence[float], gap: float, floor: float = -math.inf) -> list[float]:
    """Return ascending positions, each pushed up to `gap` above the one before."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + gap if moved else floor))
    return moved


def shortened(words: str, letters: int) -> str:
    """Return words cut to a number of letters, the cut marked."""
    return words if len(words) <= letters else words[: letters - 1].rstrip() + "…"
