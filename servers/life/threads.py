"""The threads of a pool, all of them there before the first task."""

from __future__ import annotations

__all__ = ["start_all"]

from threading import Barrier

from servers.life.stopping import CannotStart

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def start_all(pool: ThreadPoolExecutor, workers: int) -> None:
    """Return when every thread has started: the pool starts one only for a task that waits."""
    everyone = Barrier(workers + 1)
    try:
        for _ in range(workers):
            pool.submit(everyone.wait)
    except RuntimeError as error:
        everyone.abort()
        raise CannotStart(f"Cannot start {workers} threads: {error}.") from error
    everyone.wait()
