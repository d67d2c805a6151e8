"""A generator per connection, on a scheduler of our own: one thread, and control by `yield`."""

from __future__ import annotations

from servers.drivers.scheduler import READ, WRITE, Scheduler, acceptable, sleep
from servers.drivers.yielding import converse
from servers.life.timeouts import NO_TIMEOUTS, IdlePeer, StuckPeer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.scheduler import Patience, Task
    from servers.life.listener import Listener
    from servers.life.timeouts import Timeouts
    from servers.service import Service


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    scheduler = Scheduler(patience(service.timeouts or NO_TIMEOUTS))
    scheduler.spawn(accept_all(listener, service, scheduler))
    ready()
    scheduler.run()


def patience(timeouts: Timeouts) -> Patience:
    """Return the timeouts that are on, as the scheduler takes them."""
    both = {READ: (timeouts.idle, IdlePeer), WRITE: (timeouts.write, StuckPeer)}
    return {event: (seconds, error) for event, (seconds, error) in both.items() if seconds}


def accept_all(listener: Listener, service: Service, scheduler: Scheduler) -> Task:
    """Accept connections until the stop, one in a turn."""
    while not listener.stopping:
        yield from acceptable(listener)
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if not listener.stopping:
                yield from sleep(listener.pause_after(error))
        else:
            connection.setblocking(False)
            scheduler.spawn(converse(connection, service.session(), scheduler))
