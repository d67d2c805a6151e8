"""The command line: `python -m bench VERB`, installed as `threadmill`."""

from __future__ import annotations

from bench.gate.config import ConfigError
from bench.gate.proving import RecordingError
from bench.gate.stored import BaselineNameError, DifferentMachineError, RunFailedError
from bench.gate.worktree import NoBaselineError, RevisionError
from bench.measure.placement import PlacementError
from bench.plan.available import UnavailableError
from bench.plan.precision import QuantityError
from bench.plan.scenarios import UnknownNameError
from bench.verbs import (
    baseline,
    compare,
    gate,
    gate_selftest,
    history,
    instrument,
    lists,
    runs,
)
from bench.verbs.common import INTERRUPTED, NO_BASELINE, TROUBLE, USAGE, app, fail
from clients.engine.generator import GeneratorError
from reports.gate.allowances import AllowanceError
from reports.gate.render.proof_text import MarkerError
from reports.store import StoreError
from reports.trend.foreign import InvalidResultsError, UnreadableError
from servers.catalog import UnknownModel

VERBS = (runs, compare, gate, baseline, gate_selftest, history, instrument, lists)
"""The modules that hold them: a verb is known once its module has been imported."""


USERS_ERRORS = (
    AllowanceError,
    BaselineNameError,
    ConfigError,
    DifferentMachineError,
    MarkerError,
    PlacementError,
    QuantityError,
    RecordingError,
    RevisionError,
    UnavailableError,
    UnknownModel,
    UnknownNameError,
    UnreadableError,
)
"""What a user asked for and cannot have; each has a sentence that says why."""


def main() -> None:
    """Run the command line; what the user or the machine did wrong is one sentence."""
    try:
        app(prog_name="threadmill")
    except InvalidResultsError as error:
        fail(str(error), TROUBLE)
    except USERS_ERRORS as error:
        fail(str(error), USAGE)
    except NoBaselineError as error:
        fail(str(error), NO_BASELINE)
    except KeyboardInterrupt:
        fail("interrupted before there was anything to keep", INTERRUPTED)
    except RunFailedError as error:
        fail(str(error), TROUBLE)
    except GeneratorError as error:
        fail(f"the load generator failed: {error}", TROUBLE)
    except StoreError as error:
        # The disk's refusal, a file that cannot be read and a run that is not there come as the
        # same error; only the last has no other behind it.
        fail(str(error), TROUBLE if error.__cause__ else USAGE)
    except OSError as error:
        fail(f"the machine refused: {error}", TROUBLE)


if __name__ == "__main__":
    main()
