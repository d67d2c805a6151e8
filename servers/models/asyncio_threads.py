"""asyncio's streams in one thread, with COMPUTE handed to the threads of a pool.

The loop goes on with its other connections meanwhile, as asyncio's documentation advises
(run_in_executor); but Python's GIL lets only one of all these threads compute at a time.
"""

from __future__ import annotations

__all__ = ["serve"]

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from servers.drivers import loops
from servers.drivers.offloading import OffloadingSession
from servers.life.threads import start_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops and the connections have ended."""
    with ThreadPoolExecutor(workers) as pool:
        start_all(pool, workers)
        service.make_session = partial(OffloadingSession, pool.submit)
        loops.run(listener, service, ready)
