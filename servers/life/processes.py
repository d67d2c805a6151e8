"""The workers of a ProcessPoolExecutor: known to a stop, and gone before others come."""

from __future__ import annotations

__all__ = ["close", "end_workers", "worker_pids"]

import gc
from multiprocessing import active_children
from threading import enumerate as enumerate_threads
from threading import main_thread

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import ProcessPoolExecutor

THREAD_SECONDS = 1.0
"""How long a thread of a broken executor is waited for: its queue has no reader, so it ends."""


def worker_pids() -> Iterable[int]:
    """Return the process ids of the workers that live."""
    return [worker.pid for worker in active_children() if worker.pid is not None]


def end_workers() -> None:
    """End those that did start of a pool that could not."""
    for worker in active_children():
        worker.kill()
        worker.join()


def close(executor: ProcessPoolExecutor) -> None:
    """Return when the workers are done, or dead, and no thread is left: then it is safe to fork.

    Its pipes are in circles, and are collected here: new workers would inherit them.
    """
    executor.shutdown()
    for thread in enumerate_threads():  # for that of its queue a broken executor does not wait
        if thread is not main_thread():
            thread.join(THREAD_SECONDS)
    gc.collect()
