"""Threads of a pool, all of them started before there is work for them."""

from __future__ import annotations

__all__ = ["start_all"]

from threading import Barrier

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def start_all(pool: ThreadPoolExecutor, workers: int) -> None:
    """Return when every thread has started: the pool starts one only for a task that waits."""
    everyone = Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(everyone.wait)
    everyone.wait()
