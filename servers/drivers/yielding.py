"""The conversation of a task of the scheduler; `blocking` has it on a blocking socket."""

from __future__ import annotations

__all__ = ["converse", "patience"]

import socket
from contextlib import suppress
from functools import partial

from servers.drivers import RECEIVE_BYTES
from servers.drivers.scheduler import (
    NEVER,
    READ,
    WRITE,
    Scheduler,
    readable,
    send_all,
    send_file,
    sleep,
)
from servers.life.timeouts import LOOKS, Idle, reset_at_close
from servers.steps import DrainFor, IdlePeer, Reset, SendFile, ShutSending, StuckPeer, Wait

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from servers.drivers.running import Child
    from servers.drivers.scheduler import Patience, Task, Trap
    from servers.life.timeouts import Timeouts
    from servers.service import Session
    from servers.steps import LastStep, Run

    Ending = Generator[Trap, None, type[OSError] | None]


LOOK_SECONDS = 0.5
"""By how much a beat may be late."""


def patience(timeouts: Timeouts | None) -> Patience:
    """Return the timeouts that are on, as a scheduler takes them."""
    if not timeouts:
        return {}
    both = {READ: (timeouts.idle, IdlePeer), WRITE: (timeouts.write / LOOKS, StuckPeer)}
    return {event: (seconds, error) for event, (seconds, error) in both.items() if seconds}


def converse(connection: socket.socket, session: Session, scheduler: Scheduler) -> Task:
    """Serve one connection to its end, and close it; the scheduler has the timeouts' patience."""
    try:
        fault = yield from exchange(connection, session, scheduler)
        while steps := session.farewell(fault):
            fault = yield from take_leave(connection, session.timeouts, scheduler, steps)
    finally:
        session.close()
        scheduler.close(connection)


def exchange(connection: socket.socket, session: Session, scheduler: Scheduler) -> Ending:
    """Answer what arrives until the peer's end or the session's; return the fault, if it is one."""
    timeouts = session.timeouts
    idle = Idle(timeouts.idle) if timeouts else None
    write_seconds = timeouts.write if timeouts else 0
    something_to_receive = readable(connection, idle.since if idle else None)
    receive = connection.recv
    try:
        while not session.closing:
            yield from something_to_receive
            data = receive(RECEIVE_BYTES)
            if not data:
                break
            steps = session.receive(data)
            for step in steps:
                if isinstance(step, bytes):
                    yield from send_all(connection, step, write_seconds)
                elif isinstance(step, SendFile):
                    yield from send_file(connection, step, write_seconds)
                elif isinstance(step, Wait):
                    yield from sleep(step.seconds)
                else:
                    yield from run_program(connection, step, write_seconds, scheduler)
            if idle:
                if steps:
                    idle.restart()
                    something_to_receive = readable(connection, idle.since)
                else:
                    idle.left()  # the scheduler does not look at whoever always has something
    except OSError as error:
        return type(error)
    return None


def run_program(
    connection: socket.socket, step: Run, write_seconds: float, scheduler: Scheduler
) -> Task:
    """Run a program and send what it writes; it is ended when the peer goes."""
    from servers.drivers.running import Child  # with subprocess, which few servers need

    try:
        child = Child(step)
    except OSError as error:
        step.command.cannot_start(error)
        return
    looks = Looks(child, scheduler)
    try:
        for item in child.frames():
            if isinstance(item, bytes):
                yield from send_all(connection, item, write_seconds)
            else:
                yield from readable(child, NEVER)  # or until it is looked after
    finally:
        looks.end()
        scheduler.close(child)


class Looks:
    """Looks after a program now and then: whether its time is over, and whether to send a beat."""

    def __init__(self, child: Child, scheduler: Scheduler) -> None:
        self._child = child
        self._scheduler = scheduler
        self._look()

    def _look(self) -> None:
        left = self._child.left()
        self._scheduler.wake(self._child)
        seconds = LOOK_SECONDS if left is None else min(LOOK_SECONDS, left)
        self._timer = self._scheduler.call_later(seconds, self._look)

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()


def take_leave(
    connection: socket.socket,
    timeouts: Timeouts | None,
    scheduler: Scheduler,
    steps: Iterable[LastStep],
) -> Ending:
    """Carry a farewell out, and return what befell it."""
    try:
        for step in steps:
            if isinstance(step, bytes):
                yield from send_all(connection, step, timeouts.write if timeouts else 0)
            elif isinstance(step, ShutSending):
                connection.shutdown(socket.SHUT_WR)
            elif isinstance(step, DrainFor):
                yield from drain(connection, step.seconds, scheduler)
            elif isinstance(step, Reset):
                reset_at_close(connection)
            else:
                step.tell(connection)
    except OSError as error:
        return type(error)
    return None


def drain(connection: socket.socket, seconds: float, scheduler: Scheduler) -> Task:
    """Receive until the peer's end, but not for long."""
    cut_off = scheduler.call_later(seconds, partial(shut_receiving, connection))
    try:
        while not cut_off.done:
            yield from readable(connection, NEVER)
            if not connection.recv(RECEIVE_BYTES):
                break
    finally:
        cut_off.cancel()


def shut_receiving(connection: socket.socket) -> None:
    """Have a socket read as if the peer had ended."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
