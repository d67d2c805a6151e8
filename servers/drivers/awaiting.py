"""The conversation of a task that awaits, for runtimes that are not asyncio's streams.

What a runtime has of its own is injected (`Runtime`), so nothing is imported here that a model
would not need. The connection is a socket that does not block, beside whatever the runtime wraps it
in. Only waiting is ever cut short by a timeout, never a send under way: a frame is not cut.
"""

from __future__ import annotations

__all__ = ["Runtime", "accept_all", "converse"]

import os
import socket
from collections import namedtuple
from functools import partial

from servers.drivers import RECEIVE_BYTES
from servers.life.timeouts import Idle, Stuck, reset_at_close
from servers.steps import CutShort, DrainFor, IdlePeer, Reset, SendFile, ShutSending, Wait

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any

    from servers.life.listener import Listener
    from servers.life.timeouts import Timeouts
    from servers.service import Session
    from servers.steps import LastStep, Run

Runtime = namedtuple("Runtime", "wrap receive send sleep readable writable within broken programs")
"""How a runtime waits, as functions.

wrap(connection)             what receive and send take: a stream, or the socket itself
await receive(wrapped, n)    at most n bytes; none at the peer's end
await send(wrapped, data)    all of it
await sleep(seconds)         at least so long; 0: let the others have a turn
await readable(socket)       until it has something to receive or to accept
await writable(socket)       until it has room to send
async with within(seconds)   raises TimeoutError in what awaits for longer; None: never
broken                       exceptions that are its own words for a connection that is broken
programs()                   how it runs programs, as servers/drivers/awaited.py has it
"""


async def accept_all(
    listener: Listener,
    runtime: Runtime,
    spawn: Callable[[socket.socket], object],
) -> None:
    """Accept connections until the stop, and have each one served."""
    while not listener.stop.begun:
        await runtime.readable(listener)
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if not listener.stop.begun:
                await runtime.sleep(listener.admission.pause_after(error))
        else:
            connection.setblocking(False)
            spawn(connection)


async def converse(connection: socket.socket, session: Session, runtime: Runtime) -> None:
    """Serve one connection to its end, and close it."""
    with connection:
        try:
            fault = await fault_of(exchange(connection, session, runtime), runtime)
            while steps := session.farewell(fault):
                leaving = take_leave(connection, session.timeouts, runtime, steps)
                fault = await fault_of(leaving, runtime)
        finally:
            session.close()


async def fault_of(work: Coroutine[Any, Any, None], runtime: Runtime) -> type[OSError] | None:
    """Work, and return what befell it: the class, for an error holds on to all it went through."""
    try:
        await work
    except OSError as error:
        return type(error)
    except runtime.broken:
        return ConnectionError
    return None


async def exchange(connection: socket.socket, session: Session, runtime: Runtime) -> None:
    """Answer what arrives until the peer's end or the session's."""
    timeouts = session.timeouts
    wrapped = runtime.wrap(connection)
    receive, send = runtime.receive, runtime.send
    idle = Idle(timeouts.idle) if timeouts else None
    while not session.closing:
        if idle:
            data = await receive_in_time(wrapped, idle, runtime)
        else:
            data = await receive(wrapped, RECEIVE_BYTES)
        if not data:
            return
        steps = session.receive(data)
        for step in steps:
            if isinstance(step, bytes):
                if timeouts:
                    await send_in_time(connection, timeouts, runtime, step)
                else:
                    await send(wrapped, step)
            elif isinstance(step, SendFile):
                await send_file(connection, timeouts, runtime, step)
            elif isinstance(step, Wait):
                await runtime.sleep(step.seconds)
            else:
                await run_program(connection, timeouts, runtime, step)
        if idle and steps:
            idle.restart()


async def run_program(
    connection: socket.socket, timeouts: Timeouts | None, runtime: Runtime, step: Run
) -> None:
    """Run a program and send what it writes; it is ended when the peer goes."""
    from servers.drivers import awaited  # with what few servers need

    send = partial(send_in_time, connection, timeouts, runtime)
    await awaited.run_program(step, send, runtime.programs())


async def take_leave(
    connection: socket.socket,
    timeouts: Timeouts | None,
    runtime: Runtime,
    steps: Iterable[LastStep],
) -> None:
    """Carry a farewell out."""
    for step in steps:
        if isinstance(step, bytes):
            await send_in_time(connection, timeouts, runtime, step)
        elif isinstance(step, ShutSending):
            connection.shutdown(socket.SHUT_WR)
        elif isinstance(step, DrainFor):
            await drain(connection, step.seconds, runtime)
        elif isinstance(step, Reset):
            reset_at_close(connection)
        else:
            step.tell(connection)


async def receive_in_time(wrapped: Any, idle: Idle, runtime: Runtime) -> bytes:
    """Receive, or raise IdlePeer."""
    try:
        async with runtime.within(idle.left()):
            data: bytes = await runtime.receive(wrapped, RECEIVE_BYTES)
            return data
    except TimeoutError:
        raise IdlePeer from None


async def send_in_time(
    connection: socket.socket, timeouts: Timeouts | None, runtime: Runtime, data: bytes
) -> None:
    """Send all of `data`, or raise StuckPeer."""
    left = memoryview(data)
    while left:
        try:
            left = left[connection.send(left) :]
        except BlockingIOError:
            await room(connection, timeouts, runtime)


async def room(connection: socket.socket, timeouts: Timeouts | None, runtime: Runtime) -> None:
    """Wait for room to send, or raise StuckPeer."""
    stuck = Stuck(timeouts.write if timeouts else 0, connection)
    while True:
        left = stuck.left()
        try:
            async with runtime.within(left):
                return await runtime.writable(connection)  # type: ignore[no-any-return]  # None
        except TimeoutError:
            continue


async def send_file(
    connection: socket.socket, timeouts: Timeouts | None, runtime: Runtime, step: SendFile
) -> None:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        try:
            sent = os.sendfile(connection.fileno(), step.file.fileno(), offset, end - offset)
        except BlockingIOError:
            await room(connection, timeouts, runtime)
            continue
        except OSError as error:  # the file cannot be read, or the peer has gone: both end so
            raise CutShort from error
        if not sent:
            raise CutShort
        offset += sent


async def drain(connection: socket.socket, seconds: float, runtime: Runtime) -> None:
    """Receive until the peer's end; TimeoutError if that does not come in time."""
    async with runtime.within(seconds):
        while True:
            await runtime.readable(connection)
            if not connection.recv(RECEIVE_BYTES):
                return
