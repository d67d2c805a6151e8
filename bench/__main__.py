"""The command line: `python -m bench VERB`, installed as `threadmill`."""

from __future__ import annotations

from bench.verbs import (
    advise,
    baseline,
    compare,
    experiments,
    gate,
    gate_selftest,
    history,
    hosts,
    instrument,
    interpreters,
    lists,
    runs,
    shelf,
)
from bench.verbs.common import INTERRUPTED, TROUBLE, app, fail

VERBS = (
    *(advise, shelf),
    *(runs, hosts, compare, gate, baseline, gate_selftest, history, instrument),
    *(interpreters, experiments, lists),
)
"""The modules that hold them: a verb is known once its module has been imported."""


def main() -> None:
    """Run the command line; what the user or the machine did wrong is one sentence.

    An error that is foreseen knows its exit code (bench/errors.py); any other is a fault of ours,
    and shows where it is.
    """
    try:
        app(prog_name="threadmill")
    except KeyboardInterrupt:
        fail("interrupted before there was anything to keep", INTERRUPTED)
    except OSError as error:
        fail(f"the machine refused: {error}", TROUBLE)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        fail(str(error), code)


if __name__ == "__main__":
    main()
