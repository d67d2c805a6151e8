"""The conversation on a blocking socket: what serial, thread, process and the pools share.

How it waits is injected (`Waiting`), so that another runtime whose sockets look as if they blocked,
one of greenlets, can carry the same conversation out and wait in its own way.

With timeouts the kernel lets a call fail after a moment (SO_RCVTIMEO), which costs a call that does
not wait nothing. What is left of the timeout is then waited for with poll(), that a signal does not
make count anew.
"""

from __future__ import annotations

__all__ = ["KERNEL", "READ", "Waiting", "converse", "start_child"]

import os
import select
import socket
from collections import namedtuple
from functools import partial
from struct import Struct
from time import monotonic, sleep

from servers.drivers import RECEIVE_BYTES
from servers.life.timeouts import Idle, Stuck, reset_at_close
from servers.steps import CutShort, DrainFor, Reset, SendFile, ShutSending, StuckPeer, Wait

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from servers.drivers.running import Child
    from servers.life.timeouts import Timeouts
    from servers.service import Session
    from servers.steps import LastStep, Run

READ = select.POLLIN
WRITE = select.POLLOUT
MOMENT_MICROSECONDS = 50_000
TIMEVAL = Struct("ll")


def wait_until(connection: socket.socket | Child, event: int, seconds: float | None) -> None:
    """Wait for READ or WRITE to come to a socket, but no longer than so many seconds."""
    poll = select.poll()
    poll.register(connection, event)
    poll.poll(None if seconds is None else seconds * 1e3)


def have_calls_fail_soon(connection: socket.socket) -> None:
    """Have the kernel end a call with EAGAIN, which is BlockingIOError, after a moment."""
    moment = TIMEVAL.pack(0, MOMENT_MICROSECONDS)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, moment)


def start_child(run: Run) -> Child:
    """Start a program; OSError when that cannot be."""
    from servers.drivers.running import Child  # with subprocess, which few servers need

    return Child(run)


Waiting = namedtuple("Waiting", "sleep wait_until have_calls_fail_soon sendfile start_child")
"""How a runtime waits, as five functions.

sleep(seconds)                           let at least so long pass; 0: let the others have a turn
wait_until(connection, event, seconds)   until READ or WRITE comes, or so long (None: for ever)
have_calls_fail_soon(connection)         asked once, where there are timeouts: recv() and send() are
                                         to raise BlockingIOError when they cannot go on at once,
                                         or after a moment
sendfile(to, from, offset, count)        as os.sendfile, which may raise BlockingIOError
start_child(run)                         a Child of servers/drivers/running.py
"""
KERNEL = Waiting(sleep, wait_until, have_calls_fail_soon, os.sendfile, start_child)
"""A thread waits in the kernel."""


def converse(connection: socket.socket, session: Session, waiting: Waiting = KERNEL) -> None:
    """Serve one connection to its end, and close it."""
    with connection:
        try:
            fault = fault_of(exchange, connection, session, waiting)
            while steps := session.farewell(fault):
                fault = fault_of(take_leave, connection, session.timeouts, waiting, steps)
        finally:
            session.close()


def fault_of(work: Callable[..., None], *arguments: object) -> type[OSError] | None:
    """Work, and return what befell it: the class, for an error holds on to all it went through."""
    try:
        work(*arguments)
    except OSError as error:
        return type(error)
    return None


def exchange(connection: socket.socket, session: Session, waiting: Waiting) -> None:
    """Answer what arrives until the peer's end or the session's."""
    timeouts = session.timeouts
    receive, send, idle = connection.recv, connection.sendall, None
    if timeouts:
        waiting.have_calls_fail_soon(connection)
        idle = Idle(timeouts.idle)
        receive = partial(receive_in_time, connection, idle, waiting)
        send = partial(send_in_time, connection, timeouts, waiting)
    while not session.closing:
        data = receive(RECEIVE_BYTES)
        if not data:
            return
        steps = session.receive(data)
        for step in steps:
            if isinstance(step, bytes):
                send(step)
            elif isinstance(step, SendFile):
                send_file(connection, timeouts, waiting, step)
            elif isinstance(step, Wait):
                waiting.sleep(step.seconds)
            else:
                run_program(connection, timeouts, waiting, step)
        if idle and steps:
            idle.restart()


def take_leave(
    connection: socket.socket,
    timeouts: Timeouts | None,
    waiting: Waiting,
    steps: Iterable[LastStep],
) -> None:
    """Carry a farewell out."""
    for step in steps:
        if isinstance(step, bytes):
            send_in_time(connection, timeouts, waiting, step)
        elif isinstance(step, ShutSending):
            connection.shutdown(socket.SHUT_WR)
        elif isinstance(step, DrainFor):
            drain(connection, step.seconds)
        elif isinstance(step, Reset):
            reset_at_close(connection)
        else:
            step.tell(connection)


def receive_in_time(
    connection: socket.socket, idle: Idle, waiting: Waiting, most_bytes: int
) -> bytes:
    """Receive, or raise IdlePeer."""
    while True:
        idle.left()  # or a peer that sends a byte now and then would never be idle
        try:
            return connection.recv(most_bytes)
        except BlockingIOError:
            waiting.wait_until(connection, READ, idle.left())


def send_in_time(
    connection: socket.socket, timeouts: Timeouts | None, waiting: Waiting, data: bytes
) -> None:
    """Send all of `data`, or raise StuckPeer."""
    left = memoryview(data)
    while left:
        left = left[send_some(connection, timeouts, waiting, connection.send, left) :]


def send_some(
    connection: socket.socket,
    timeouts: Timeouts | None,
    waiting: Waiting,
    send: Callable[..., int],
    *arguments: object,
) -> int:
    """Return what `send` does, or raise StuckPeer."""
    try:
        return send(*arguments)
    except BlockingIOError:
        stuck = Stuck(timeouts.write if timeouts else 0, connection)
    while True:
        waiting.wait_until(connection, WRITE, stuck.left())
        try:
            return send(*arguments)
        except BlockingIOError:
            continue


def send_file(
    connection: socket.socket, timeouts: Timeouts | None, waiting: Waiting, step: SendFile
) -> None:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    # Not connection.sendfile(), which makes a selector each time, for sockets with a time-out.
    send = partial(send_some, connection, timeouts, waiting, waiting.sendfile)
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        try:
            sent = send(connection.fileno(), step.file.fileno(), offset, end - offset)
        except StuckPeer:
            raise
        except OSError as error:  # the file cannot be read, or the peer has gone: both end so
            raise CutShort from error
        if not sent:
            raise CutShort
        offset += sent


def run_program(
    connection: socket.socket, timeouts: Timeouts | None, waiting: Waiting, step: Run
) -> None:
    """Run a program and send what it writes; it is ended when the peer goes."""
    try:
        child = waiting.start_child(step)
    except OSError as error:
        step.command.cannot_start(error)
        return
    wont_wait, usual = 0.0, connection.gettimeout()
    connection.settimeout(wont_wait)  # or nobody would look at the program's time
    try:
        for item in child.frames():
            if isinstance(item, bytes):
                send_beside(connection, timeouts, waiting, child, item)
            else:
                waiting.wait_until(child, READ, item)
    finally:
        child.close()
        connection.settimeout(usual)


def send_beside(
    connection: socket.socket,
    timeouts: Timeouts | None,
    waiting: Waiting,
    child: Child,
    data: bytes,
) -> None:
    """Send all of `data` to a peer that may be slow, while a program's time goes by."""
    left = memoryview(data)
    stuck = None
    while left:
        try:
            left = left[connection.send(left) :]
        except BlockingIOError:
            stuck = stuck or Stuck(timeouts.write if timeouts else 0, connection)
            times = stuck.left(), child.left()
            least = min((each for each in times if each is not None), default=None)
            waiting.wait_until(connection, WRITE, least)


def drain(connection: socket.socket, seconds: float) -> None:
    """Receive until the peer's end; TimeoutError if that does not come in time."""
    deadline = monotonic() + seconds
    while (left := deadline - monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(RECEIVE_BYTES):
            return
