"""gevent with everything patched: another model's own file, whose threads are greenlets here.

Importing this module replaces what the standard library waits with, in place. So the row has it
imported before any class of ours is derived from a socket: a listener that really blocked would
hold up every greenlet. What was bound by name before that stays as it was.
"""

from __future__ import annotations

__all__ = ["serve"]

from importlib import import_module

from gevent import monkey

# Not aggressive: select.epoll, which it would remove, is how a program that runs is looked at,
# without waiting.
monkey.patch_all(aggressive=False)

from servers.drivers.blocking import KERNEL  # noqa: E402 - what it binds by name has to be patched

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from servers.life.listener import Listener
    from servers.service import Service


def have_calls_fail_at_once(connection: socket.socket) -> None:
    """Have a call that cannot go on raise BlockingIOError: SO_RCVTIMEO does nothing here."""
    connection.setblocking(False)


PATCHED = KERNEL._replace(have_calls_fail_soon=have_calls_fail_at_once)
"""A thread's way to wait but for this, which no patch can reach."""


def serve(listener: Listener, service: Service, ready: Callable[[], None], model: str) -> None:
    """Serve with a model of threads that says with what they wait."""
    import_module(f"servers.models.{model}").serve(listener, service, ready, PATCHED)
