"""The history of runs for the terminal: a table per figure and load, a trend per model."""

from __future__ import annotations

__all__ = ["history_table"]

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.trend.history import TREND_METRICS, Change, Trend
from reports.units import MISSING

BARS = "▁▂▃▄▅▆▇█"
GAP = "┊"
MOST_BARS = 24
ADVICE = (
    "Change points are advice: look at the commits around them. Of 100 steady trends about one has"
    " one by chance; with fewer than 10 runs on a machine none can be told."
)
NEW_MACHINE = f"{GAP} the machine changed: compare on either side of it only."


def history_table(trends: Sequence[Trend]) -> RenderableType:
    """Return the renderable trends; they fit 80 columns."""
    if not trends:
        return Text("The history has no such figure.")
    groups: dict[tuple[str, str, str], list[Trend]] = {}
    for trend in sorted(trends, key=lambda trend: list(TREND_METRICS).index(trend.metric)):
        groups.setdefault((trend.metric, trend.scenario, trend.level), []).append(trend)
    parts: list[RenderableType] = []
    for (metric, scenario, level), group in groups.items():
        row = TREND_METRICS[metric]
        unit = "" if row.latency else f" ({row.unit})"  # durations are written with theirs
        parts += [Text.assemble((f"{row.title}{unit}, {scenario}", "bold"), f"  {level}")]
        parts += [_table(group)]
        changed = [_sentence(trend, change) for trend in group for change in trend.changes()]
        parts += [Text("\n".join(changed) + "\n", "yellow")] if changed else []
    if any(len(trend.segments) > 1 for trend in trends):
        parts.append(Text(NEW_MACHINE))
    return Group(*parts, Text(ADVICE))


def _table(trends: Sequence[Trend]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("trend", no_wrap=True)
    for heading in ("runs", "last", "against\nbefore"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trend in trends:
        moved = trend.moved()
        table.add_row(
            trend.model,
            bars(trend),
            str(len(trend.points)),
            TREND_METRICS[trend.metric].write(trend.points[-1].value),
            MISSING if moved is None else signed(moved),
        )
    return table


def signed(share: float) -> str:
    """Return a share as a percentage with its sign; what rounds to nothing has none."""
    words = f"{share:+.1%}"
    return words if words.strip("+-0.%") else "0.0%"


def bars(trend: Trend) -> str:
    """Return the last figures as bars from the least to the greatest, a gap for a new machine."""
    shown = trend.points[-MOST_BARS:]
    values = [point.value for point in shown]
    low, spread = min(values), (max(values) - min(values)) or 1.0
    firsts = {segment[0].number for segment in trend.segments[1:]}
    drawn = "".join(
        GAP * (point.number in firsts) + BARS[round((point.value - low) / spread * (len(BARS) - 1))]
        for point in shown
    )
    return drawn[-MOST_BARS:].lstrip(GAP)


def _sentence(trend: Trend, change: Change) -> str:
    entry = change.point.entry
    return (
        f"{trend.model} may have changed by {signed(change.share)}"
        f" with {entry.commit or 'an unknown commit'} on {entry.started[:10]} (p {change.p:.3f})"
    )
