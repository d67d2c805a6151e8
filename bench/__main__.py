"""The command line: `python -m bench VERB`, installed as `threadmill`."""

from __future__ import annotations

from bench.placement import PlacementError
from bench.precision import QuantityError
from bench.scenarios import UnknownNameError
from bench.verbs import instrument, lists, runs
from bench.verbs.common import INTERRUPTED, TROUBLE, USAGE, app, fail
from clients.generator import GeneratorError
from reports.store import StoreError
from servers.catalog import UnknownModel

VERBS = (runs, instrument, lists)
"""The modules that hold them: a verb is known once its module has been imported."""


def main() -> None:
    """Run the command line; what the user or the machine did wrong is one sentence."""
    try:
        app(prog_name="threadmill")
    except (UnknownNameError, UnknownModel, PlacementError, QuantityError) as error:
        fail(str(error), USAGE)
    except KeyboardInterrupt:
        fail("interrupted before there was anything to keep", INTERRUPTED)
    except GeneratorError as error:
        fail(f"the load generator failed: {error}", TROUBLE)
    except StoreError as error:
        # The disk's refusal and a run that is not there come as the same error; only the first
        # has the system's own behind it.
        fail(str(error), TROUBLE if isinstance(error.__cause__, OSError) else USAGE)
    except OSError as error:
        fail(f"the machine refused: {error}", TROUBLE)


if __name__ == "__main__":
    main()
