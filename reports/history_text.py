"""The history of runs for the terminal: a table per figure and load, a trend per model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.history import METRICS, Change, Trend
from reports.units import MISSING

BARS = "▁▂▃▄▅▆▇█"
GAP = "┊"
MOST_BARS = 24
ADVICE = "Change points are advice: look at the commits around them; one run is one observation."


def history_table(trends: Sequence[Trend]) -> RenderableType:
    """Return the renderable trends; they fit 80 columns."""
    if not trends:
        return Text("The history has no such figure.")
    parts: list[RenderableType] = []
    ordered = sorted(trends, key=lambda trend: (trend.metric, trend.scenario, trend.level))
    for (metric, scenario, level), group in groupby(
        ordered, key=lambda trend: (trend.metric, trend.scenario, trend.level)
    ):
        title = Text.assemble((f"{METRICS[metric].title}, {scenario}", "bold"), f"  {level}")
        parts += [title, _table(list(group))]
    changed = [(trend, change) for trend in ordered for change in trend.changes()]
    parts += [Text(_sentence(trend, change), "yellow") for trend, change in changed]
    parts.append(Text(f"{ADVICE} {GAP} the machine changed: compare on either side of it only."))
    return Group(*parts)


def _table(trends: Sequence[Trend]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("trend", no_wrap=True)
    for heading in ("runs", "last", "against before"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trend in trends:
        moved = trend.moved()
        table.add_row(
            trend.model,
            bars(trend),
            str(len(trend.points)),
            METRICS[trend.metric].write(trend.points[-1].value),
            MISSING if moved is None else f"{moved:+.1%}",
        )
    return table


def bars(trend: Trend) -> str:
    """Return the last figures as bars from the least to the greatest, a gap for a new machine."""
    values = [point.value for point in trend.points]
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    drawn = GAP.join(
        "".join(BARS[round((point.value - low) / spread * (len(BARS) - 1))] for point in segment)
        for segment in trend.segments
    )
    return drawn[-MOST_BARS:]


def _sentence(trend: Trend, change: Change) -> str:
    entry = change.point.entry
    return (
        f"{trend.model}/{trend.scenario}/{trend.metric} may have changed by {change.share:+.1%}"
        f" with {entry.commit or 'an unknown commit'} on {entry.started[:10]} (p {change.p:.3f})"
    )
