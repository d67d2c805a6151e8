"""A thread per connection, started when it is accepted."""

from __future__ import annotations

__all__ = ["serve"]

from threading import Thread

from servers.drivers.blocking import KERNEL, converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.drivers.blocking import Waiting
    from servers.life.listener import Listener
    from servers.service import Service


def serve(
    listener: Listener, service: Service, ready: Callable[[], None], waiting: Waiting = KERNEL
) -> None:
    """Serve until the listener stops; what looks like a thread may wait in another way."""
    ready()
    for connection in listener:
        # Not a daemon: at its end the interpreter waits for the conversations under way.
        thread = Thread(target=converse, args=(connection, service.session(), waiting))
        try:
            thread.start()
        except RuntimeError:
            listener.admission.refuse(connection, "No further thread can start")
