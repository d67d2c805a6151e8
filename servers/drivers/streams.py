"""The conversation on asyncio's streams; `blocking` has it on a blocking socket.

drain() lets the conversation go on below the transport's high-water mark, so a connection has that
much and one step ready to be sent. At its end the marks are 0: what drain() has seen go is gone.
"""

from __future__ import annotations

__all__ = ["converse"]

import asyncio
from asyncio import StreamReader, StreamWriter
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from functools import partial

from servers.drivers import RECEIVE_BYTES, read_piece
from servers.drivers.protocols import has_sendfile
from servers.life.timeouts import Idle, Stuck, reset_at_close
from servers.steps import (
    CutShort,
    DrainFor,
    IdlePeer,
    Reset,
    Run,
    SendFile,
    ShutSending,
    StuckPeer,
    Wait,
)

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any

    from servers.life.timeouts import Timeouts
    from servers.service import Service, Session
    from servers.steps import Elsewhere, LastStep, Step


async def converse(service: Service, reader: StreamReader, writer: StreamWriter) -> None:
    """Serve one connection to its end, and close it."""
    session = service.session()
    try:
        fault = await fault_of(exchange(session, reader, writer))
        while steps := session.farewell(fault):
            fault = await fault_of(take_leave(session.timeouts, reader, writer, steps))
        writer.close()
        await fault_of(writer.wait_closed())
    finally:
        session.close()


async def fault_of(work: Coroutine[Any, Any, None]) -> type[OSError] | None:
    """Work, and return what befell it: the class, and nothing of the error is kept.

    The reader and its protocol keep it, and its traceback would keep the frames of this
    conversation, with the reader, the writer and their buffers, until a full collection.
    """
    try:
        await work
    except OSError as error:
        let_go_of_frames(error)
        return type(error)
    return None


def let_go_of_frames(error: BaseException | None) -> None:
    """Have an error, and those that it came from, no longer say where they have been."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


async def exchange(session: Session, reader: StreamReader, writer: StreamWriter) -> None:
    """Answer what arrives until the peer's end or the session's, and all of it has gone."""
    timeouts = session.timeouts
    receive, drain, idle = partial(reader.read, RECEIVE_BYTES), writer.drain, None
    if timeouts:
        idle = Idle(timeouts.idle)
        receive = partial(receive_in_time, reader, idle)
        drain = partial(drain_in_time, writer, timeouts)
    while not session.closing and (data := await receive()):
        steps: Iterable[Step | Elsewhere] = session.receive(data)
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await drain()
            elif isinstance(step, SendFile):
                await send_file(writer, step, timeouts)
            elif isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Run):
                await run_program(writer, drain, step)
            else:
                await work_elsewhere(step)
        if idle and steps:
            idle.restart()
    writer.transport.set_write_buffer_limits(0)
    await drain()


async def work_elsewhere(step: Elsewhere) -> None:
    """Wait for what others do; where they have died, the conversation is over."""
    try:
        await asyncio.wrap_future(step.begin())
    except BrokenExecutor as error:
        raise ConnectionAbortedError from error


async def take_leave(
    timeouts: Timeouts | None,
    reader: StreamReader,
    writer: StreamWriter,
    steps: Iterable[LastStep],
) -> None:
    """Carry a farewell out."""
    connection = writer.get_extra_info("socket")
    for step in steps:
        if isinstance(step, bytes):
            writer.transport.set_write_buffer_limits(0)
            writer.write(step)
            await (drain_in_time(writer, timeouts) if timeouts else writer.drain())
        elif isinstance(step, ShutSending):
            writer.write_eof()
        elif isinstance(step, DrainFor):
            await throw_away(reader, step.seconds)
        elif isinstance(step, Reset):
            reset_at_close(connection)
            writer.transport.abort()
        else:
            step.tell(connection)


async def receive_in_time(reader: StreamReader, idle: Idle) -> bytes:
    """Receive, or raise IdlePeer."""
    try:
        async with asyncio.timeout(idle.left()):
            return await reader.read(RECEIVE_BYTES)
    except TimeoutError:
        raise IdlePeer from None


async def drain_in_time(writer: StreamWriter, timeouts: Timeouts) -> None:
    """Wait until the peer has taken enough, or raise StuckPeer once it takes nothing."""
    if not writer.transport.get_write_buffer_size():
        return await writer.drain()  # which does not wait
    stuck = Stuck(timeouts.write, writer.get_extra_info("socket"))
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(stuck.left()):
                return await writer.drain()


async def send_file(writer: StreamWriter, step: SendFile, timeouts: Timeouts | None) -> None:
    """Have the kernel send a piece of a file; CutShort when it cannot."""
    if writer.transport.is_closing():
        raise ConnectionResetError
    loop = asyncio.get_running_loop()
    if not has_sendfile(loop):
        writer.write(read_piece(step))
        await (drain_in_time(writer, timeouts) if timeouts else writer.drain())
        return
    sending = loop.sendfile(writer.transport, step.file, step.offset, step.count, fallback=False)
    try:
        sent = await (in_time(sending, writer, timeouts) if timeouts else sending)
    except StuckPeer:
        raise
    except (asyncio.SendfileNotAvailableError, OSError) as error:
        # The file cannot be read, or the peer has gone: both end so.
        raise CutShort from error
    if sent < step.count:
        raise CutShort


async def in_time(
    sending: Coroutine[Any, Any, int], writer: StreamWriter, timeouts: Timeouts
) -> int:
    """Wait for the end of `sending`, or raise StuckPeer once the peer takes nothing."""
    task = asyncio.ensure_future(sending)
    try:
        stuck = Stuck(timeouts.write, writer.get_extra_info("socket"))
        while not task.done():
            await asyncio.wait({task}, timeout=stuck.left())
        return task.result()
    finally:
        task.cancel()  # which does nothing to one that is done


async def run_program(
    writer: StreamWriter, drain: Callable[[], Coroutine[Any, Any, None]], step: Run
) -> None:
    """Run a program and send what it writes; it is ended when the peer goes."""
    from servers.drivers import awaited  # with what few servers need

    async def send(data: bytes) -> None:
        writer.write(data)
        await drain()

    await awaited.run_program(step, send, awaited.ASYNCIO)


async def throw_away(reader: StreamReader, seconds: float) -> None:
    """Receive until the peer's end, but not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while await reader.read(RECEIVE_BYTES):
                pass
