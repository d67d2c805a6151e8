"""docs/faults.md: what the fault suite has seen happen, case by case and model by model.

A test says what it saw; that must be what the page says. `make faults` runs the suite with
THREADMILL_WRITE_FAULTS set, and what was seen becomes the page.
"""

from __future__ import annotations

import os
from pathlib import Path

from servers.catalog import MODELS

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
WRITING = "THREADMILL_WRITE_FAULTS"

HEAD = """\
# What a faulty peer meets

<!-- Written by `make faults` from what the suite saw. Do not edit: a test compares. -->

Each row is a test in `tests/test_faults.py` or one of its neighbours, each column a model; an
empty cell says that the case cannot come up there. After every case that a server outlives it
answers the next client, and its descriptors, threads, processes and memory are what they were.

- *error N* is an ERROR frame with that code: 1 OVERSIZE, 2 FLAGS, 3 KIND, 15 BUSY, 16 TIMEOUT.
- *end* is a clean end of the connection between two frames; *reset* is a RST. A frame that is cut
  is never followed by a clean end, so no part is ever taken for the whole.
- *others served* says that the other clients did not notice; *others wait* that they were served as
  soon as the timeout had freed the worker.

`--idle-timeout` bounds the time without a whole frame, `--write-timeout` the time in which a peer
takes no byte. Both are on for a server that is run by hand (60 and 30 s) and off in measurements.
Each one that strikes is a line on the server's standard error, and the sum is its last line there.

A stop (SIGTERM, SIGINT) answers the whole requests that have arrived on the connections accepted so
far, as long as the grace lasts, and ends these connections cleanly. Whoever still waits in the
backlog is reset, whatever has been sent. SHUTDOWN (17) is never sent: an ERROR is an answer, and an
idle connection has not asked anything.

"""

Outcomes = dict[tuple[str, str], str]
"""By case and model."""


def parse(page: str) -> Outcomes:
    """Return the outcomes on a page."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    if not rows:
        return {}
    models = rows[0][1:]
    return {
        (case, model): outcome
        for case, *outcomes in rows[2:]
        for model, outcome in zip(models, outcomes, strict=True)
        if outcome
    }


def render(outcomes: Outcomes) -> str:
    """Return the page, with the cases in the order in which they come."""
    models = [model.name for model in MODELS]
    cases = list(dict.fromkeys(case for case, _ in outcomes))
    rows = [
        ["case", *models],
        ["---"] * (len(models) + 1),
        *([case, *(outcomes.get((case, model), "") for model in models)] for case in cases),
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


class Ledger:
    """What the page says, and what was seen."""

    def __init__(self) -> None:
        self._writing = bool(os.environ.get(WRITING))
        self._seen: dict[
            tuple[tuple[str, int], str, str], str
        ] = {}  # by place in the suite, case, model
        self.page = parse(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}

    def record(self, place: tuple[str, int], case: str, model: str, outcome: str) -> None:
        """Take down what was seen; it must be what the page says."""
        self._seen[place, case, model] = outcome
        if not self._writing:
            assert outcome == self.page.get((case, model)), "docs/faults.md differs: make faults"

    def close(self) -> None:
        """Write the page, if that is what this run is for."""
        if self._writing:
            # Each of several workers would write what it alone has seen.
            assert "PYTEST_XDIST_WORKER" not in os.environ, "the page is written by one process"
            ordered = sorted(self._seen.items(), key=lambda item: item[0][0])
            seen = {(case, model): outcome for (_, case, model), outcome in ordered}
            PAGE.write_text(render(seen), encoding="utf-8")
