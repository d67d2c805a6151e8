"""What can end a verb, by whose fault it is; the classes carry the exit codes of the command.

BenchError
 ├── UserError                what was asked for cannot be: no such name, no such quantity
 ├── TroubleError             a trial failed, or the machine would not do it
 └── NothingToCompareError    what was asked for is in order, but has no counterpart

Whoever raises one derives a class of its own. The reports, the clients and the servers know
nothing of the benchmark: their errors are no part of this family, and have an exit code of the
same meaning.
"""

from __future__ import annotations

__all__ = [
    "INTERRUPTED",
    "NO_BASELINE",
    "TROUBLE",
    "USAGE",
    "BenchError",
    "NothingToCompareError",
    "TroubleError",
    "UserError",
]

USAGE = 2
TROUBLE = 3  # a trial failed, or the machine would not do it
NO_BASELINE = 5  # nothing to compare with
INTERRUPTED = 130


class BenchError(Exception):
    """Something that ends a verb; the message is one sentence, the code the command's exit."""

    exit_code: int


class UserError(BenchError):
    """What was asked for cannot be."""

    exit_code = USAGE


class TroubleError(BenchError):
    """A trial failed, or the machine would not do it."""

    exit_code = TROUBLE


class NothingToCompareError(BenchError):
    """What was asked for is in order, and there is nothing to hold it against."""

    exit_code = NO_BASELINE
