"""A fixed number of threads: a datagram is a task, and waits until a thread is free.

It waits in the kernel's buffer, not in the pool's queue, which has no end: so no more datagrams are
taken than there are threads.
"""

from __future__ import annotations

__all__ = ["serve"]

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore

from servers.drivers.datagrams import exchange
from servers.life.threads import start_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.life.mailbox import Mailbox
    from servers.service import Service


def serve(listener: Mailbox, service: Service, ready: Callable[[], None], workers: int) -> None:
    """Serve until the mailbox stops."""
    conversation = service.datagrams(listener.drops.count)
    free = Semaphore(workers)

    def done(task: Future[None]) -> None:
        free.release()
        task.result()  # a bug must be seen: it is raised again, and concurrent.futures logs that

    with ThreadPoolExecutor(workers) as pool:
        start_all(pool, workers)
        ready()
        for datagram, address in listener:
            free.acquire()
            task = pool.submit(exchange, listener, conversation, datagram, address)
            task.add_done_callback(done)
