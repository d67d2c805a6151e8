"""EXPERIMENTS: the one list of what can be asked, in the order of the course.

A row says what is asked, what the course claims, what would refute that, and what to do with the
answer. Its module has `measure(lab)`, which measures, and `judge(found)`, the verdict rule: a pure
function of the figures. A module runs under any Python unless its row says that it is the suite's
own that it measures. Standard library only: the list is read under other interpreters as well.
"""

from __future__ import annotations

__all__ = ["ASKED", "EXPERIMENTS", "OURS", "Experiment", "UnknownExperiment", "find"]

from typing import NamedTuple


class Experiment(NamedTuple):
    """A row."""

    name: str
    section: str  # of the course; OURS where it says nothing of it
    question: str
    claim: str
    varies: str
    measures: str
    refuted_by: str
    advice: str  # what to do with the answer
    entry: str  # its module in bench.experiments
    python: str = "any"  # "own": it measures the suite itself, which needs all that is installed

    @property
    def module(self) -> str:
        """The module that measures and judges."""
        return f"bench.experiments.{self.entry}"


ASKED = ("name", "section", "question", "claim", "varies", "measures", "refuted_by", "advice")
"""What a finding keeps of a row."""

OURS = "ours"

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "sticky",
        "2.5.1-2.5.5",
        "How many receives do 100 sends of 20 B take, and of what sizes are they?",
        "Messages stick together on a stream; a header with the length mends it.",
        "how messages are told apart",
        "receives, and messages that came out as they were sent",
        "as many receives as sends without a header, or a message lost or changed with one",
        "Never take a receive for a message: put the length before it, as docs/wire.md does.",
        "sockets.sticky",
    ),
    Experiment(
        "creation",
        "5.5, 6.1",
        "What does it cost to start one and wait for its end?",
        "Starting a thread is far cheaper than starting a process.",
        "what is started",
        "time to start and join one that does nothing",
        "a thread that costs more than a fifth of a forked process",
        "Start processes beforehand and keep them; threads may be started where they are needed.",
        "processes.creation",
    ),
    Experiment(
        "race",
        "5.10, 6.6",
        "Are 2 tickets sold to 8 buyers, and does 180 less 1, 180 times, become 0 or 179?",
        "Without a lock more is sold than there is, and 180 may end as 179; with one it is exact.",
        "who takes, and whether under a lock",
        "tickets sold, and what is left of 180",
        "as many sold as there were without a lock, or another number with it",
        "Guard every read-change-write by one lock, be it one line of Python.",
        "sharing.race",
    ),
    Experiment(
        "start",
        OURS,
        "How long is it from the start of a server's process to its first answer?",
        "No model starts surely faster than one thread that serves one connection after another.",
        "model",
        "time to the first answer",
        "a model that takes less than nine tenths of serial's time",
        "Where a process is started for one event, choose by this and not by throughput.",
        "instrument.start",
        "own",
    ),
    Experiment(
        "round-trip",
        OURS,
        "What does one round trip cost without any concurrency?",
        "A thread that blocks answers a lone client no later than an event loop.",
        "model",
        "one round trip, on an open connection and on one of its own",
        "a round trip of thread that surely takes longer than asyncio's",
        "It is the floor below every latency of a report: subtract it before you compare.",
        "instrument.round_trip",
        "own",
    ),
    Experiment(
        "engine-cost",
        OURS,
        "What does the load generator itself cost?",
        "The engine verifies every byte, for about what a bare echo costs, and plain Python more.",
        "who generates, and what serves",
        "CPU of both sides per request, requests per second",
        "more than twice the null server's CPU, or more than a plain-Python loop's",
        "Believe a throughput only where the engine had CPU to spare; the report says where.",
        "instrument.engine_cost",
        "own",
    ),
    Experiment(
        "file-cost",
        OURS,
        "What does a file cost the server, beside python -m http.server?",
        "thread moves 0.8 of what http.server moves per CPU second, asyncio 0.6; hashing aside.",
        "who moves it, and which way",
        "MiB per second of the server's CPU, and ratios within a round",
        "a ratio below its aim",
        "Let the kernel send (sendfile), and remember digests: hashing is the larger half.",
        "instrument.file_cost",
        "own",
    ),
    Experiment(
        "file-memory",
        OURS,
        "By how much does a large file move the server's memory?",
        "By less than 8 MiB, whatever the size of the file.",
        "model",
        "growth of the peak PSS of the server's tree, in each direction",
        "a transfer that moves the peak by more than 8 MiB",
        "Stream in pieces; a handler that reads a whole file is bounded by nothing.",
        "instrument.file_memory",
        "own",
    ),
    Experiment(
        "fault-soak",
        OURS,
        "Does the engine count what goes wrong as what it is, and leave nothing behind?",
        "Every fault is counted by its kind, and memory does not grow.",
        "fault of the server",
        "requests by what befell them, and the engine's memory",
        "a fault counted as another, one never counted, or memory that grew by 1 MiB",
        "Read errors by kind: a timeout and a reset have different causes.",
        "instrument.fault_soak",
        "own",
    ),
)


class UnknownExperiment(LookupError):  # noqa: N818  # it says what was asked for
    """No experiment of this name."""

    exit_code = 2  # of a command that was given the name


def find(name: str) -> Experiment:
    """Return the experiment of this name; UnknownExperiment when there is none."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    from difflib import get_close_matches  # not in a child that has nothing to ask

    near = get_close_matches(name, [each.name for each in EXPERIMENTS], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`threadmill experiments` lists them."
    raise UnknownExperiment(f"There is no experiment {name!r}; {hint}")
