"""Several results in one page: a panel for each machine, a column for each result. Pure.

Figures of two machines have nothing in common, so a panel has those of one machine only, and no
ratio and no bar goes from one panel to the next. Within a panel the first result that has a figure,
under the same interpreter and in the same unit, is what the others are held against; how, is
`reports.trend.compare`'s. What a foreign file does not say of its machine is not known to agree.
"""

from __future__ import annotations

__all__ = ["Entry", "Panel", "Several", "several"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reports.gate.effects import t_quantile
from reports.machines import TELLING, differences
from reports.trend.compare import (
    CONFIDENCE,
    LEAST_VALUES,
    Answer,
    Comparison,
    Results,
    Series,
    compare,
    only_on_one_side,
    same_run,
    warnings,
)
from reports.trend.compare_text import parted, write
from reports.units import DASH

SAID = ("commit", "python", "cpu")
"""Facts that stand in the head of a column, as far as a result has them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of one result."""

    series: Series
    low: float  # 95% of its own mean; equal to `high` where there are too few values to tell
    high: float
    against: Comparison | None  # with the first of the row; None: it is that, or nothing is alike

    @property
    def figure(self) -> str:
        """The geometric mean in words."""
        return write(self.series)

    @property
    def words(self) -> str:
        """What is said of it beside the first of its row; empty for that one."""
        if self.against is None:
            return ""
        found = self.against
        if found.answer is Answer.TOO_FEW:
            return f"{found.ratio:.3f} times, {found.answer}"
        interval = f"{found.low:.3f} {DASH} {found.high:.3f}"
        return f"{found.ratio:.3f} times ({interval}), {found.answer}"

    def to_json(self) -> dict[str, Any]:
        """Return the figure as JSON-ready values."""
        against = self.against
        return {
            "value": self.series.value,
            "low": self.low,
            "high": self.high,
            "values": self.series.logs.values,
            "runs_under": self.series.runs_under,
            "ratio_to_first": against.ratio if against else None,
            "answer": str(against.answer) if against else None,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A figure that a result of the panel has, and what each of them says; None: it has it not."""

    of: str
    figure: str
    unit: str
    entries: tuple[Entry | None, ...]

    @property
    def most(self) -> float:
        """The greatest value in the row: what a bar is as long as."""
        return max(entry.series.value for entry in self.entries if entry)


@dataclass(frozen=True, slots=True)
class Panel:
    """The results of one machine."""

    machine: str
    results: tuple[Results, ...]
    rows: tuple[Row, ...]

    def heads(self) -> list[tuple[str, list[str]]]:
        """Return the name of every column and what is known of it."""
        return [
            (
                each.label,
                [f"{fact} {each.machine[fact]}" for fact in SAID if each.machine.get(fact)],
            )
            for each in self.results
        ]


@dataclass(frozen=True, slots=True)
class Several:
    """Results side by side as far as they are alike."""

    panels: tuple[Panel, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "panels": [
                {
                    "machine": panel.machine,
                    "results": [each.label for each in panel.results],
                    "rows": [
                        {
                            "of": row.of,
                            "figure": row.figure,
                            "unit": row.unit,
                            "results": [entry and entry.to_json() for entry in row.entries],
                        }
                        for row in panel.rows
                    ],
                }
                for panel in self.panels
            ],
            "remarks": list(self.remarks),
        }


def several(results: Sequence[Results]) -> Several:
    """Return results side by side, those of one machine in one panel; a run twice counts once."""
    kept: list[Results] = []
    remarks: list[str] = []
    for each in results:
        twin = next((known for known in kept if _twins(known, each)), None)
        if twin:
            remarks.append(f"{each.label} is the same result as {twin.label}: it is shown once")
        else:
            kept.append(each)
    machines: list[list[Results]] = []
    for each in kept:
        home = next((group for group in machines if _one_machine(group[0], each)), None)
        if home is None:
            machines.append([each])
        else:
            home.append(each)
    if len(machines) > 1:
        first = machines[0][0]
        for other in (group[0] for group in machines[1:]):
            differ = differences(first.machine, other.machine) or ["it does not say which"]
            remarks.append(
                f"{other.label} is of another machine than {first.label}: {'; '.join(differ)};"
                " nothing is compared between them"
            )
    for group in machines:
        for each in group[1:]:
            remarks += warnings(group[0], each) + only_on_one_side(group[0], each)
    remarks += [
        f"{each.label}: {name}: {why}" for each in kept for name, why in each.troubles.items()
    ]
    return Several(tuple(map(_panel, machines)), tuple(dict.fromkeys(remarks)))


def _twins(one: Results, other: Results) -> bool:
    if one.run or other.run:
        return same_run(one, other)
    return (one.machine, one.series) == (other.machine, other.series)


def _one_machine(one: Results, other: Results) -> bool:
    """Whether nothing that both say of their machines differs, and both say which CPU they had."""
    facts = [fact for fact in TELLING if fact in one.machine and fact in other.machine]
    if "cpu" not in facts:
        return False
    # Another Python is no other machine: its figures are told apart by what they ran under.
    alike = (fact for fact in facts if fact not in {"python", "gil"})
    return all(one.machine[fact] == other.machine[fact] for fact in alike)


def _panel(results: Sequence[Results]) -> Panel:
    names = dict.fromkeys(name for each in results for name in each.series)
    compared = [
        [{found.name: found for found in compare(first, each)} for each in results]
        for first in results
    ]
    rows = []
    for name in names:
        holders = [place for place, each in enumerate(results) if name in each.series]
        first = holders[0]
        entries = tuple(
            _entry(each.series[name], None if place == first else compared[first][place].get(name))
            if name in each.series
            else None
            for place, each in enumerate(results)
        )
        of, figure = parted(name)
        rows.append(Row(of, figure, results[first].series[name].unit, entries))
    facts = results[0].machine
    machine = ", ".join(str(facts[fact]) for fact in ("cpu", "kernel") if facts.get(fact))
    return Panel(
        machine or f"the unnamed machine of {results[0].label}", tuple(results), tuple(rows)
    )


def _entry(series: Series, against: Comparison | None) -> Entry:
    logs = series.logs
    reach = 0.0
    if logs.values >= LEAST_VALUES:
        reach = t_quantile((1 + CONFIDENCE) / 2, logs.values - 1)
        reach *= math.sqrt(logs.variance / logs.values)
    return Entry(series, math.exp(logs.mean - reach), math.exp(logs.mean + reach), against)
