"""trio: a task per connection, all in one nursery."""

from __future__ import annotations

__all__ = ["TRIO", "serve"]

from contextlib import asynccontextmanager
from functools import partial

import trio
from trio.lowlevel import wait_readable, wait_writable

from servers.drivers.awaiting import Runtime, accept_all, converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    from servers.drivers.awaited import Programs
    from servers.life.listener import Listener
    from servers.service import Service


def wrap(connection: socket.socket) -> trio.SocketStream:
    """Return trio's stream over a connection."""
    return trio.SocketStream(trio.socket.from_stdlib_socket(connection))


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Raise TimeoutError when so many seconds have passed."""
    with trio.move_on_after(float("inf") if seconds is None else seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError


def programs() -> Programs:
    """Return how trio runs programs."""
    from servers.drivers.awaited import Programs  # with what few servers need

    return Programs(
        trio.lowlevel.open_process,
        receive_some,
        trio.Process.wait,
        let_go,
        within,
        trio.sleep,
        trio.Event,
        beside,
    )


async def receive_some(pipe: trio.abc.ReceiveStream, most_bytes: int) -> bytes:
    """Receive from a pipe."""
    return bytes(await pipe.receive_some(most_bytes))


async def let_go(process: trio.Process) -> None:
    """Wait for the end of a process, which is near, and close its pipes."""
    with trio.CancelScope(shield=True):
        await process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe  # noqa: S101  # for mypy
        await pipe.aclose()


async def beside(
    work: Callable[[], Awaitable[None]], *others: Callable[[], Awaitable[None]]
) -> None:
    """Do the work, and the others until it is done."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        for other in others:
            nursery.start_soon(other)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised below, and not as one of a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure


TRIO = Runtime(
    wrap,
    trio.SocketStream.receive_some,
    trio.SocketStream.send_all,
    trio.sleep,
    wait_readable,
    wait_writable,
    within,
    trio.BrokenResourceError,
    programs,
)


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    trio.run(serve_connections, listener, service, ready)


async def serve_connections(
    listener: Listener, service: Service, ready: Callable[[], None]
) -> None:
    """Serve until the listener stops and the connections have ended."""
    ready()  # an error of it would be wrapped in a nursery
    async with trio.open_nursery() as nursery:
        await accept_all(listener, TRIO, partial(spawn, nursery, service))


def spawn(nursery: trio.Nursery, service: Service, connection: socket.socket) -> None:
    """Have a task of its own serve a connection."""
    nursery.start_soon(converse, connection, service.session(), TRIO)
