"""A fixed number of threads: a connection is a task, and waits until a thread is free."""

from __future__ import annotations

__all__ = ["serve"]

from concurrent.futures import Future, ThreadPoolExecutor

from servers.drivers.blocking import converse
from servers.life.threads import start_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the listener stops."""
    with ThreadPoolExecutor(workers) as pool:
        start_all(pool, workers)
        ready()
        for connection in listener:
            task = pool.submit(converse, connection, service.session())
            # A bug must be seen: result() raises it again, and concurrent.futures logs that.
            task.add_done_callback(Future.result)
