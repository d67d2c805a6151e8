"""The gate's self-test in words and tables, for the terminal and for docs/gate.md."""

from __future__ import annotations

__all__ = ["MarkerError", "Proof", "proof_tables", "written_into"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.gate.proof import THIS_GATE, Aim, CaseProof, Live
from reports.gate.verdicts import GATE_METRICS, Outcome

SHORT = {"+8% CPU": "+8%", "+10% CPU": "+10%", "+20% CPU": "+20%", "speed-up": "faster"}
JUDGED = ("cpu", "throughput", "p50", "pss")
OTHER_PLACEMENT = ", split"
BEGIN, END = "<!-- gate-selftest {}: begin -->", "<!-- gate-selftest {}: end -->"


class MarkerError(ValueError):
    """A page without the place for the tables; the message is a sentence."""

    exit_code = 2  # the user's to mend


class Grid(NamedTuple):
    """A table: what it is about, its headings, and its rows of text."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All that the self-test found."""

    header: Mapping[str, Any]  # of the recording
    cases: Mapping[str, CaseProof]
    certain: Mapping[str, Outcome]
    live: Live | None
    aims: Sequence[Aim]
    block: int

    @property
    def met(self) -> bool:
        """Whether every aim is met."""
        return all(aim.met for aim in self.aims)

    def sentences(self) -> list[str]:
        """Return what must be known to read the tables."""
        machine = self.header["machine"]
        some = next(iter(self.cases.values()))
        dependence = some.dependence
        most = max(dependence, key=lambda metric: dependence[metric])
        lines = [
            f"{self.header['started'][:10]}, model `{self.header['model']}`, echo of 64 B, on"
            f" {machine['cpus_allowed']} CPUs ({machine['cpu']}, {machine['kernel']},"
            f" {machine['python']}).",
            f"A share is of {some.resamples:,} verdicts resampled from {some.pairs} live pairs of a"
            f" case, {self.block} pairs in a block; of A/A, pairs are drawn either way round. All"
            f" resamples come from these pairs, which make {some.pairs // self.block} blocks that"
            " share none: a share of 0% or 100% holds for these pairs, not for another day.",
            "Slices of one pair are not independent: the intraclass correlation of their log ratios"
            f" in {some.name} is up to {dependence[most]:.2f} ({GATE_METRICS[most].title}). The"
            " gate takes a pair as one observation; the rules that take slices get all of them.",
        ]
        if self.live:
            lines.append(
                f"Live: {self.live.gates} whole gates on two copies of the same code, all models in"
                f" turn; {self.live.failed} failed, {self.live.inconclusive} stayed inconclusive."
            )
        return lines

    def grids(self) -> Iterator[Grid]:
        """Yield the tables, the aims first."""
        verdicts = {True: "met", False: "MISSED"}
        yield Grid(
            "Aims",
            ("aim", "found", ""),
            [(aim.sentence, aim.found, verdicts[aim.met]) for aim in self.aims],
        )
        main = [case for case in self.cases.values() if not case.name.endswith(OTHER_PLACEMENT)]
        names = [SHORT.get(case.name, case.name) for case in main]
        yield Grid(
            "What was injected, as measured: the change of each figure over all pairs",
            ("figure", *names),
            [
                (GATE_METRICS[metric].title, *(f"{case.changes[metric]:+.1%}" for case in main))
                for metric in GATE_METRICS
            ],
        )
        for metric in JUDGED:
            rules = main[0].flagged if main else {}
            title = GATE_METRICS[metric].title
            yield Grid(
                f"How often is it called worse: {title}",
                ("rule", *names),
                [(rule, *(f"{case.flagged[rule][metric]:.0%}" for case in main)) for rule in rules],
            )
        yield from self._placements()

    def _placements(self) -> Iterator[Grid]:
        """Yield what tells the placements apart: the noise between pairs of the same code."""
        found = [(name, name + OTHER_PLACEMENT) for name in ("A/A", "+8% CPU")]
        if not all(name in self.cases for both in found for name in both):
            return
        same, split = (self.cases[name] for name in found[0])
        spun, spun_split = (self.cases[name] for name in found[1])
        yield Grid(
            "Placement: standard deviation between pairs of the same code, and +8% CPU found",
            ("", "same", "split"),
            [
                *(
                    (
                        GATE_METRICS[metric].title,
                        f"{same.noise[metric]:.1%}",
                        f"{split.noise[metric]:.1%}",
                    )
                    for metric in GATE_METRICS
                ),
                (
                    "found",
                    f"{spun.flagged[THIS_GATE]['cpu']:.1%}",
                    f"{spun_split.flagged[THIS_GATE]['cpu']:.1%}",
                ),
            ],
        )


def proof_tables(proof: Proof) -> RenderableType:
    """Return the proof for the terminal; it fits 80 columns."""
    parts: list[RenderableType] = []
    for grid in proof.grids():
        parts.append(Text(grid.title, style="bold"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for number, heading in enumerate(grid.headings):
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for row in grid.rows:
            bold = row[0] == THIS_GATE or row[-1] == "MISSED"
            table.add_row(*row, style="bold" if bold else "")
        parts.append(table)
    return Group(*parts, *(Text(sentence.replace("`", "")) for sentence in proof.sentences()))


def proof_markdown(proof: Proof) -> str:
    """Return the proof as Markdown."""
    blocks = [*proof.sentences()]
    for grid in proof.grids():
        lines = [
            "| " + " | ".join(grid.headings) + " |",
            "|---|" + "---:|" * (len(grid.headings) - 1),
            *("| " + " | ".join(row) + " |" for row in grid.rows),
        ]
        blocks += [f"**{grid.title}**", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def written_into(page: str, proof: Proof) -> str:
    """Return the page with the proof between its markers; MarkerError when it has none."""
    begin, end = (marker.format(proof.header["model"]) for marker in (BEGIN, END))
    before, found, rest = page.partition(begin)
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise MarkerError(f"the page has no {begin} and {end}")
    return f"{before}{begin}\n\n{proof_markdown(proof)}\n{end}{after}"
