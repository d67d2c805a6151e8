"""What all charts look like: a model's colour, marker and line, the header, ticks and labels.

A model has the same look in every chart. Its family gives the hue, Okabe and Ito's where there are
enough of them, which are safe for the colour-blind; the member is a tint of it and has a marker and
a line of its own, by which models are told apart in greyscale as well.
"""

from __future__ import annotations

__all__ = [
    "FAINT",
    "GREY",
    "INK",
    "LINES",
    "RC",
    "WARNING",
    "WIDTH_INCHES",
    "End",
    "Look",
    "Looks",
    "Place",
    "bars",
    "duration_tick",
    "duration_ticks",
    "facts",
    "label_ends",
    "log_durations",
    "looks_of",
    "name_row",
    "name_rows",
    "new_frame",
    "pale",
    "render",
    "room_for",
    "shifted",
    "shortened",
    "thousands",
]

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform
from matplotlib.typing import ColorType, RcKeyType

from reports import units
from reports.cells.families import families_of
from reports.cells.workload import Cell
from reports.charts.literal import make_literal
from reports.record import Run, Sample

INK = "#1a1a1a"
GREY = "#5f6368"
FAINT = "#d5d8dc"
WARNING = "#b3261e"
WIDTH_INCHES = 12.8


class Look(NamedTuple):
    """How one model is drawn."""

    colour: str
    marker: Any  # a matplotlib marker: a letter, or a (corners, style, angle) of a star
    line: Any  # a matplotlib line style: a name, or an (offset, dashes) pair


HUES: Mapping[str, str] = {
    "sequential": "#4d4d4d",
    "threads": "#0072b2",
    "processes": "#d55e00",
    "hybrid": "#e69f00",
    "event loop": "#5e3c99",
    "coroutines": "#d377ab",
    "greenlets": "#009e73",
    "interpreters": "#7f8000",
    "datagrams": "#12a5b5",
}
OTHER_HUE = "#8c8c8c"
TINTS = (0.0, 0.42, -0.38, 0.22, -0.2)
"""Towards white, or towards black where below zero: what a member of a family is mixed with."""
MARKERS: Sequence[Any] = (
    "o", "s", "^", "D", "P", "v", "X", "*", "p", "<", "d", ">", "h", (4, 1, 0), (3, 1, 0), (8, 1, 0)
)  # fmt: skip
LINES: Sequence[Any] = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1, 1.5)))
"""Markers go round in the order of the models, and with each round the line changes."""

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


class Looks:
    """How the models of a run are drawn."""

    def __init__(self, families: Mapping[str, str]) -> None:
        self._looks: dict[str, Look] = {}
        members: Counter[str] = Counter()
        for number, (model, family) in enumerate(families.items()):
            tint = TINTS[members[family] % len(TINTS)]
            members[family] += 1
            self._looks[model] = Look(
                _tinted(HUES.get(family, OTHER_HUE), tint),
                MARKERS[number % len(MARKERS)],
                LINES[number // len(MARKERS) % len(LINES)],
            )

    def of(self, model: str) -> Look:
        """Return how a model is drawn, the same in every chart."""
        return self._looks.get(model, Look(OTHER_HUE, "o", "-"))


def looks_of(run: Run) -> Looks:
    """Return how the models of a run are drawn."""
    return Looks(families_of(run))


def _tinted(colour: str, tint: float) -> str:
    """Return a colour mixed with so much white, or with so much black where below zero."""
    target = 1.0 if tint > 0 else 0.0
    red, green, blue = (part + abs(tint) * (target - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def facts(run: Run, asked: Sample) -> str:
    """Return the line under every title: when, on what, and where the processes ran.

    Of a single connection most is the machine's waking up, so what that costs stands beside it.
    """
    when = run.started[:16].replace("T", " ") + " UTC"
    placement = asked.serving.placement
    wake_up_ns = run.wake_up_ns.get(placement, 0.0) if asked.load.connections == 1 else 0.0
    parts = (
        when,
        run.machine.get("python"),
        run.machine.get("cpu"),
        f"placement {placement}",
        wake_up_ns and f"null server's round trip {units.duration(wake_up_ns / 1e3)}",
    )
    return "  ·  ".join(str(part) for part in parts if part)


class Frame(NamedTuple):
    """A figure of the usual width, and the room in it that is left for axes."""

    figure: Figure
    top: float  # shares of the figure's height, as matplotlib takes them
    bottom: float

    def across(self, left_inches: float, right_inches: float) -> tuple[float, float]:
        """Return where axes begin and end, with so much room on either side."""
        return left_inches / WIDTH_INCHES, 1 - right_inches / WIDTH_INCHES


NOTE_POINTS = 8
NOTE_INCHES = 0.17  # a line of it
NOTE_LETTERS = 195


def new_frame(
    title: str, subtitle: str, note: str, *, top: float, axes: float, bottom: float
) -> Frame:
    """Return a figure with its header, a note at its foot, and room for axes; sizes in inches.

    `top` is from the upper edge to the axes and at least 0.8; below the axes there is `bottom` for
    their words, and then the note, however many lines it takes.
    """
    lines = textwrap.wrap(note, NOTE_LETTERS, break_on_hyphens=False)
    foot = NOTE_INCHES * len(lines) + 0.08 * bool(lines)
    height = top + axes + bottom + foot
    figure = Figure(figsize=(WIDTH_INCHES, height))
    left = 0.25 / WIDTH_INCHES
    figure.text(left, 1 - 0.18 / height, title, size=14, weight="bold", va="top")
    figure.text(left, 1 - 0.48 / height, subtitle, size=9, color=GREY, va="top")
    for below, line in enumerate(lines, 1 - len(lines)):
        at = (0.08 - NOTE_INCHES * below) / height
        figure.text(left, at, line, size=NOTE_POINTS, color=GREY, va="bottom")
    return Frame(figure, 1 - top / height, (bottom + foot) / height)


def render(figure: Figure, name: str) -> dict[str, bytes]:
    """Return the figure as PNG and SVG, by suffix; the same figures give the same bytes."""
    images = {}
    make_literal(figure)
    FigureCanvasAgg(figure)
    options: Mapping[str, Mapping[str, Any]] = {
        # Packed hard, a PNG takes three times as long for a tenth less.
        "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
        "svg": {"metadata": {"Date": None, "Creator": None}},
    }
    for kind, how in options.items():
        # Ids in an SVG come from the salt: told apart, charts can share one page.
        with BytesIO() as file, rc_context({"svg.hashsalt": name}):
            figure.savefig(file, format=kind, **how)
            images[kind] = file.getvalue()
    return images


def duration_ticks(low_us: float, high_us: float, wanted: float) -> list[float]:
    """Return about `wanted` round durations between two, in microseconds, for a log axis."""
    powers = range(math.floor(math.log10(low_us)), math.ceil(math.log10(high_us)) + 1)
    choices = [
        [
            step * 10.0**power
            for power in powers
            for step in steps
            if power % every == 0 and low_us <= step * 10.0**power <= high_us
        ]
        for every, steps in TICK_STEPS
    ]
    return min(choices, key=lambda ticks: abs(len(ticks) - wanted))


def log_durations(axis: Axis, low_us: float, high_us: float, wanted: float) -> None:
    """Give a log axis of microseconds its limits and about `wanted` round ticks with their unit."""
    low, high = low_us / 1.25, high_us * 1.25
    axes = axis.axes
    along_x = axis is axes.xaxis
    (axes.set_xscale if along_x else axes.set_yscale)("log")
    (axes.set_xlim if along_x else axes.set_ylim)(low, high)
    axis.set_major_locator(FixedLocator(duration_ticks(low, high, wanted)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration_tick(value)))


def thousands(value: float, _position: int) -> str:
    """Write a tick of a linear axis: 30,000 or 0.5 (a formatter in matplotlib's form)."""
    return f"{value:,.10g}"


def duration_tick(value_us: float) -> str:
    """Return a tick without the zeros that a measured figure would keep: 2 ms, not 2.00 ms."""
    figure, unit = units.duration(value_us).split(" ")
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure} {unit}"


def bars(
    axes: Axes, lengths: Mapping[int, float], height: float, colours: Sequence[ColorType]
) -> None:
    """Draw a bar from zero for each row, all as one: what is drawn costs by its number."""
    half = height / 2
    corners = [
        [(0, row - half), (length, row - half), (length, row + half), (0, row + half)]
        for row, length in lengths.items()
    ]
    axes.add_collection(PolyCollection(corners, facecolors=colours, linewidths=0), autolim=False)


def pale(colour: str, share: float) -> tuple[float, float, float]:
    """Return `share` of a colour on white; opaque, so that no grid line shows through."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


NAME_LETTERS = 31
"""Of what is said below the name of a row."""


def shifted(
    axes: Axes, transform: Transform, right_points: float, up_points: float = 0
) -> Transform:
    """Return a transform whose points stand so far beside those of another."""
    scale = axes.figure.dpi_scale_trans
    return transform + ScaledTranslation(right_points / 72, up_points / 72, scale)


def name_rows(
    axes: Axes, cells: Sequence[Cell], looks: Looks, left_points: float, middle: float = 0.0
) -> None:
    """Write the models' names left of their rows, each with its marker and, below, its notes.

    Row n has its middle at n + `middle` on the axis of y.
    """
    across = axes.get_yaxis_transform()
    for row, cell in enumerate(cells):
        note = shortened("; ".join(cell.notes), NAME_LETTERS)
        at = Place(row + middle, across, left_points)
        name_row(axes, cell.subject, looks.of(cell.model), at, note)


class Place(NamedTuple):
    """Where a row has its name: its middle, in the units of a transform, and how far left."""

    middle: float
    transform: Transform
    left_points: float


def name_row(axes: Axes, model: str, look: Look, place: Place, note: str = "") -> None:
    """Write a model's name left of its row, with its marker, and a note in red below it."""
    middle, transform, left_points = place
    for words, up, size, colour in ((model, 5 * bool(note), 10, INK), (note, -7, 7.5, WARNING)):
        if words:
            axes.text(
                0, middle, words, ha="right", va="center", size=size, color=colour,
                transform=shifted(axes, transform, -left_points, up),
            )  # fmt: skip
    axes.plot(
        0, middle, transform=shifted(axes, transform, 8 - left_points), marker=look.marker,
        markersize=6.5, color=look.colour, clip_on=False, zorder=5,
    )  # fmt: skip


LETTER_INCHES = 0.085
"""What a letter of a label is wide, in the mean of a name."""


class End(NamedTuple):
    """Where a line ends, and the label that belongs there."""

    x: float
    y: float
    words: str
    colour: str


def room_for(labels: Iterable[str], least_inches: float) -> float:
    """Return how many inches right of the axes the labels of `label_ends` need, but no fewer."""
    return max([least_inches, *(0.55 + LETTER_INCHES * len(label) for label in labels)])


def label_ends(figure: Figure, axes: Axes, ends: Sequence[End], gap_points: float = 13) -> None:
    """Write a label right of the axes for the end of each line, none over another.

    A thin line leads from the end of the curve to its label where the label had to move.
    """
    height_points = axes.get_position().height * figure.get_figheight() * 72
    # Asked for first: limits that the lines decide are not known before somebody asks.
    low, high = sorted(axes.get_ylim())
    to_share = (axes.transScale + axes.transLimits).transform
    placed = sorted(
        (float(to_share((x, y))[1]), x, y, words, colour) for x, y, words, colour in ends
    )
    shares = spread_apart([share for share, *_ in placed], gap_points / height_points)
    ends_at: list[Any] = [
        axes.transAxes.inverted().transform(axes.transData.transform((x, min(max(y, low), high))))
        for _, x, y, *_ in placed
    ]
    axes.add_collection(
        LineCollection(
            [[at, (1.025, share)] for at, share in zip(ends_at, shares, strict=True)],
            colors=[pale(colour, 0.5) for *_, colour in placed], linewidths=0.6,
            transform=axes.transAxes, clip_on=False,
        ),
        autolim=False,
    )  # fmt: skip
    for share, (*_, words, _) in zip(shares, placed, strict=True):
        axes.text(1.03, share, words, transform=axes.transAxes, va="center")


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
