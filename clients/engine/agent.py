"""The load engine in a process of its own, told what to do by JSON lines (see `generator`).

Each line on standard input is a list: the name of a phase and its arguments, or `ready`. Each is
answered by one line: null, the phase's result, or {"error": sentence}. The end of the input, and
the death of the process that started this one, end it.
"""

from __future__ import annotations

import json
import os
import sys

from clients.engine._engine import die_with_parent
from clients.engine.driver import Engine
from clients.load import AimedLoad

PHASES = ("open", "warm_up", "measure", "measure_at", "drain", "tally", "close")


def main(cpus: str) -> None:
    """Serve the engine on the given CPUs, numbers with commas between."""
    die_with_parent()
    os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
    engine: Engine | None = None
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            if name == "open":
                process = arguments.pop()
                engine = Engine(AimedLoad(**arguments.pop()), process)
            if name == "ready":
                answer = None
            elif engine is None or name not in PHASES:
                raise ValueError(f"no phase {name!r} here")  # noqa: TRY301  # answered as any other
            else:
                answer = getattr(engine, name)(*arguments)
        except (ValueError, OSError, MemoryError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
