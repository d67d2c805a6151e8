"""A program under way for a driver that awaits: asyncio's own subprocesses, or those of another.

What a runtime has of its own is injected (`Programs`); asyncio's is here, for all drivers on a loop
with asyncio's interface. `running` is the same for drivers that wait on descriptors.

Imported only in a server with commands (`--exec`).
"""

from __future__ import annotations

__all__ = ["ASYNCIO", "Programs", "run_program"]

import asyncio
import os
from collections import namedtuple
from functools import partial

from servers.command import BEAT_SECONDS, COMMAND_SECONDS, PIECE_BYTES
from servers.drivers.ended import open_pidfd
from servers.drivers.running import how_to_start
from servers.life.leash import Leash

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from servers.command import Command
    from servers.steps import Run

    Send = Callable[[bytes], Awaitable[object]]
    Work = Callable[[], Awaitable[None]]

STDOUT, STDERR = 1, 2

Programs = namedtuple("Programs", "start receive exit_of let_go within sleep event beside")
"""How a runtime runs programs.

await start(argv, **how)     a process: pid, stdout, stderr, returncode
await receive(pipe, n)       at most n bytes of one of its pipes; none at the end
await exit_of(process)       until it has ended, whoever has its pipes
await let_go(process)        close its pipes, and wait until its returncode is known
async with within(seconds)   raises TimeoutError in what awaits for longer
await sleep(seconds)
event()                      is set() once, and can be waited for: await wait()
await beside(work, *others)  do the work, and the others until it is done
"""


async def run_program(step: Run, send: Send, programs: Programs) -> None:
    """Run a program and send what it writes; it is ended when sending fails."""
    command = step.command
    try:
        leash = Leash()
    except OSError as error:
        command.cannot_start(error)
        return
    try:
        process = await programs.start(step.argv, **how_to_start(leash))
    except OSError as error:
        leash.let_go()
        command.cannot_start(error)
        return
    except BaseException:
        leash.let_go()
        raise
    try:
        leash.hold(process.pid)
        exited, heard = programs.event(), programs.event()
        await programs.beside(
            partial(send_output, process, command, send, programs, exited, heard, leash),
            partial(await_exit, process, programs, exited, leash),
            partial(hear_complaints, process, command, programs, heard),
            partial(end_in_time, command, programs, leash),
        )
    finally:
        leash.let_go()
        await programs.let_go(process)
    command.ended(process.returncode)


async def send_output(
    process: Any,
    command: Command,
    send: Send,
    programs: Programs,
    exited: Any,
    heard: Any,
    leash: Leash,
) -> None:
    """Send what it writes until it has ended."""
    while not command.is_full:
        try:
            async with programs.within(BEAT_SECONDS):
                data = await programs.receive(process.stdout, command.piece_bytes)
        except TimeoutError:
            if exited.is_set():
                break  # another has the pipe still, one out of reach
            await send(command.beat())
            continue
        if not data:
            break
        await send(command.output(data))
    if command.is_full:
        leash.let_go()
    while not await has_come(exited, programs):
        await send(command.beat())
    await has_come(heard, programs)


async def has_come(event: Any, programs: Programs) -> bool:
    """Wait for an event for the time of a beat, and return whether it has come."""
    try:
        async with programs.within(BEAT_SECONDS):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def await_exit(process: Any, programs: Programs, exited: Any, leash: Leash) -> None:
    """Wait for its end; what it has started ends with it."""
    await programs.exit_of(process)
    leash.let_go()
    exited.set()


async def hear_complaints(process: Any, command: Command, programs: Programs, heard: Any) -> None:
    """Read its standard error to the end."""
    while data := await programs.receive(process.stderr, PIECE_BYTES):
        command.complaint(data)
    heard.set()


async def end_in_time(command: Command, programs: Programs, leash: Leash) -> None:
    """Kill it once its time is over, also while a slow peer is waited for."""
    await programs.sleep(COMMAND_SECONDS)
    command.late()
    leash.let_go()


async def start(argv: tuple[str, ...], **how: Any) -> asyncio.subprocess.Process:
    """Start a program as asyncio does."""
    return await asyncio.create_subprocess_exec(*argv, **how)


async def exit_of(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a process. Its own wait() may wait for the end of its pipes, too."""
    try:
        descriptor = open_pidfd(process.pid)
    except ProcessLookupError:  # it has ended, and asyncio knows
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def let_go(process: asyncio.subprocess.Process) -> None:
    """Close the pipes of a process that has ended, or is about to, and wait for its code."""
    transport = process._transport  # type: ignore[attr-defined]  # else they cannot be closed
    for number in (STDOUT, STDERR):
        transport.get_pipe_transport(number).close()
    await process.wait()


async def beside(work: Work, *others: Work) -> None:
    """Do the work, and the others until it is done."""
    tasks = [asyncio.ensure_future(other()) for other in others]
    try:
        await work()
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


ASYNCIO = Programs(
    start,
    asyncio.StreamReader.read,
    exit_of,
    let_go,
    asyncio.timeout,
    asyncio.sleep,
    asyncio.Event,
    beside,
)
