"""docs/faults.md: what the suite has seen happen, case by case, driver by driver, model by model.

A test says what it saw; that must be what the page says. `make faults` runs the suite with
THREADMILL_WRITE_FAULTS set, and what was seen becomes the page.
"""

from __future__ import annotations

import os
from pathlib import Path

from servers.catalog import over
from tests.conversations import DRIVERS

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
WRITING = "THREADMILL_WRITE_FAULTS"

HEAD = """\
# What a faulty peer meets

<!-- Written by `make faults` from what the suite saw. Do not edit: a test compares. -->

Each row is a test in `tests/test_faults*.py`. What a conversation comes to is its driver's doing,
in whatever model (which driver a model has is in its file), so those cases have a column for each
driver: `servers/drivers/`. What a server comes to as a whole has a column for each model; an empty
cell says that the case cannot come up there, or was looked at in another model of the same file or
family. After
every case that a server outlives it answers the next client, and its descriptors, threads,
processes and memory are what they were; of a driver's conversation no descriptor and no thread is
left.

- *error N* is an ERROR frame with that code: 1 OVERSIZE, 2 FLAGS, 3 KIND, 15 BUSY, 16 TIMEOUT,
  19 NOCOMMAND.
- *end* is a clean end of the connection between two frames; *reset* is a RST. A frame that is cut
  is never followed by a clean end, so no part is ever taken for the whole.
- *others served* says that the other clients did not notice; *others wait* that they were served as
  soon as the timeout had freed the worker.

`--idle-timeout` bounds the time without a whole frame, `--write-timeout` the time in which a peer
takes no byte. Both are on for a server that is run by hand (60 and 30 s) and off in measurements.
The first is kept to 0.1 s, however many bytes of an unfinished frame come in between; the second to
a quarter of itself, counted from when the peer was last seen to take a byte.
Each one that strikes is a line on the server's standard error, and the sum is its last line there.

A stop (SIGTERM, SIGINT) answers what has arrived and ends the connections cleanly. So SHUTDOWN (17)
is never sent: an ERROR is an answer, and an idle connection has not asked anything.
"""

TABLES = {
    "Conversations, by driver": list(DRIVERS),
    "Servers, by model": [model.name for model in over("tcp")],
}
"""The headings of the page's tables, and the columns."""

Outcomes = dict[tuple[str, str], str]
"""By case, and driver or model."""


def parse(page: str) -> Outcomes:
    """Return the outcomes on a page."""
    outcomes: Outcomes = {}
    columns: list[str] = []
    for line in page.splitlines():
        case, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells
        elif case != "---":
            found = zip(columns, cells, strict=True)
            outcomes |= {(case, column): outcome for column, outcome in found if outcome}
    return outcomes


def render(outcomes: Outcomes) -> str:
    """Return the page, with the cases in the order in which they come."""
    return HEAD + "".join(table(title, outcomes) for title in TABLES)


def table(title: str, outcomes: Outcomes) -> str:
    """Return one of the page's tables, under its heading."""
    columns = TABLES[title]
    cases = list(dict.fromkeys(case for case, column in outcomes if column in columns))
    rows = [
        ["case", *columns],
        ["---"] * (len(columns) + 1),
        *([case, *(outcomes.get((case, column), "") for column in columns)] for case in cases),
    ]
    return f"\n## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


class Ledger:
    """What the page says, and what was seen."""

    def __init__(self) -> None:
        self._writing = bool(os.environ.get(WRITING))
        self._seen: dict[
            tuple[tuple[str, int], str, str], str
        ] = {}  # by place in the suite, case, driver or model
        self.page = parse(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}

    def record(self, place: tuple[str, int], case: str, who: str, outcome: str) -> None:
        """Take down what was seen; it must be what the page says."""
        self._seen[place, case, who] = outcome
        if not self._writing:
            assert outcome == self.page.get((case, who)), "docs/faults.md differs: make faults"

    def close(self) -> None:
        """Write the page, if that is what this run is for; a table of which it saw none stays."""
        if self._writing:
            # Each of several workers would write what it alone has seen.
            assert "PYTEST_XDIST_WORKER" not in os.environ, "the page is written by one process"
            ordered = sorted(self._seen.items(), key=lambda item: item[0][0])
            seen = {(case, who): outcome for (_, case, who), outcome in ordered}
            for columns in TABLES.values():
                if not any(who in columns for _, who in seen):
                    seen |= {key: each for key, each in self.page.items() if key[1] in columns}
            PAGE.write_text(render(seen), encoding="utf-8")
