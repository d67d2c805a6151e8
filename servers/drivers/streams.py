"""The conversation on asyncio's streams; `blocking` has it on a blocking socket."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from functools import partial

from servers.drivers import RECEIVE_BYTES
from servers.drivers.blocking import DRAIN_SECONDS
from servers.life.timeouts import NO_TIMEOUTS, IdlePeer, StuckPeer, bytes_taken, reset_at_close
from servers.steps import CutShort, SendFile

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from servers.life.timeouts import Timeouts
    from servers.service import Service, Session


async def converse(service: Service, reader: StreamReader, writer: StreamWriter) -> None:
    """Serve one connection to its end, and close it."""
    session = service.session()
    timeouts = session.timeouts or NO_TIMEOUTS
    connection = writer.get_extra_info("socket")
    try:
        try:
            await exchange(session, reader, writer)
        except IdlePeer as fault:
            timeouts.count(fault, connection)
            session.closing = True
            writer.write(timeouts.last_words())
        if timeouts:
            writer.transport.set_write_buffer_limits(0)
            await drain_in_time(writer, timeouts)
        if session.closing:
            await take_leave(reader, writer)
        writer.close()
        await writer.wait_closed()  # until everything is sent
    except StuckPeer as fault:
        timeouts.count(fault, connection)
        reset_at_close(connection)
        writer.transport.abort()
    except CutShort:
        reset_at_close(connection)
        writer.transport.abort()
    except OSError:
        writer.close()  # the peer's affair, and the connection is over
    finally:
        session.close()


async def exchange(session: Session, reader: StreamReader, writer: StreamWriter) -> None:
    """Answer what arrives until the peer's end or the session's; IdlePeer if nothing does."""
    timeouts = session.timeouts or NO_TIMEOUTS
    receive, drain = partial(reader.read, RECEIVE_BYTES), writer.drain
    if timeouts:
        receive = partial(receive_in_time, reader, timeouts)
        drain = partial(drain_in_time, writer, timeouts)
    unfinished_since = 0.0
    while not session.closing and (data := await receive()):
        steps = session.receive(data)
        unfinished_since = 0 if steps else timeouts.still_waiting(unfinished_since)
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await drain()
            elif isinstance(step, SendFile):
                await send_file(writer, step, timeouts)
            else:
                await asyncio.sleep(step.seconds)


async def send_file(writer: StreamWriter, step: SendFile, timeouts: Timeouts) -> None:
    """Have the kernel send a piece of a file; CutShort when it cannot."""
    if writer.transport.is_closing():
        raise ConnectionResetError
    loop = asyncio.get_running_loop()
    sending = loop.sendfile(writer.transport, step.file, step.offset, step.count, fallback=False)
    try:
        sent = await (in_time(sending, writer, timeouts) if timeouts.write else sending)
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
    taken = None
    while taken != (taken := bytes_taken(writer.get_extra_info("socket"))):
        await asyncio.wait({task}, timeout=timeouts.write)
        if task.done():
            return task.result()
    task.cancel()
    raise StuckPeer


async def receive_in_time(reader: StreamReader, timeouts: Timeouts) -> bytes:
    """Receive, or raise IdlePeer."""
    try:
        async with asyncio.timeout(timeouts.idle or None):
            return await reader.read(RECEIVE_BYTES)
    except TimeoutError:
        raise IdlePeer from None


async def drain_in_time(writer: StreamWriter, timeouts: Timeouts) -> None:
    """Wait until the peer has taken enough, or raise StuckPeer once it takes nothing."""
    left = None
    while left != (left := bytes_taken(writer.get_extra_info("socket"))):
        with suppress(TimeoutError):
            async with asyncio.timeout(timeouts.write or None):
                return await writer.drain()
    raise StuckPeer


async def take_leave(reader: StreamReader, writer: StreamWriter) -> None:
    """Send the end, and wait for the peer's, but not for long."""
    writer.write_eof()
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reader.read(RECEIVE_BYTES):
                pass
    except TimeoutError:
        pass
