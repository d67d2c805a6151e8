"""A generator per connection, on a scheduler of our own: one thread, and control by `yield`."""

from __future__ import annotations

__all__ = ["serve"]

from servers.drivers.scheduler import Scheduler, acceptable, sleep
from servers.drivers.yielding import converse, patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.scheduler import Task
    from servers.life.listener import Listener
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    scheduler = Scheduler(patience(service.timeouts))
    scheduler.spawn(accept_all(listener, service, scheduler))
    ready()
    scheduler.run()


def accept_all(listener: Listener, service: Service, scheduler: Scheduler) -> Task:
    """Accept connections until the stop, one in a turn."""
    while not listener.stop.begun:
        yield from acceptable(listener)
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if not listener.stop.begun:
                yield from sleep(listener.admission.pause_after(error))
        else:
            connection.setblocking(False)
            scheduler.spawn(converse(connection, service.session(), scheduler))
