"""Tasks that are generators, taking turns in one thread.

A task runs until it yields a trap, which is a request to the scheduler, and goes on when what it
asked for has happened. Everything that waits is built from `trap` with `yield from`:

    def echo(connection):
        while True:
            yield from readable(connection)
            yield from send_all(connection, connection.recv(65536))

    scheduler = Scheduler()
    scheduler.spawn(echo(connection))
    scheduler.run()

Turns are fair: in a round every task whose turn has come runs once, up to its next trap; then the
scheduler looks at sockets and timers again.

A socket stays registered with epoll from its first wait until `Scheduler.close`, because
to register it for each wait costs more than all the rest of a small request. The price is that it
may be ready when no task waits for it; then its registration is given up until one does.
"""

from __future__ import annotations

__all__ = [
    "NEVER",
    "READ",
    "WRITE",
    "Patience",
    "Scheduler",
    "Task",
    "Trap",
    "acceptable",
    "readable",
    "send_all",
    "send_file",
    "sleep",
]

import heapq
import os
import select
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from time import monotonic

from servers.life.timeouts import Stuck
from servers.steps import CutShort, SendFile, StuckPeer

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from servers.drivers.running import Child

    Awaited = socket.socket | Child
    """What has a descriptor to wait for."""

Trap = tuple[Callable[..., None], object]
"""What to have the scheduler do: one of its operations, and what that takes beside the task."""
Waiting = tuple[Trap]
"""What to `yield from`."""
Task = Generator[Trap, None, None]

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

Patience = dict[int, tuple[float, type[Exception]]]
"""By READ or WRITE: the seconds that a task may wait for it, and what is thrown into it then."""
NEVER = float("inf")
FOREVER = (NEVER, TimeoutError)
SWEEP_SECONDS = 0.05
"""At least from one sweep to the next, and at most by how much it is late."""


def trap(operation: Callable[..., None], argument: object) -> Waiting:
    """Have the scheduler do `operation`, and wait. Nothing else hands control over.

    A tuple of one, because `yield from` takes that to the scheduler without a generator in between,
    which would cost a tenth of a small request. It can be waited for again and again.
    """
    return ((operation, argument),)


def readable(sock: Awaited, since: float | None = None) -> Waiting:
    """Wait until `sock` has something to receive; patience counts from now, or from `since`."""
    return trap(Scheduler.wake_when_ready, (sock.fileno(), READ, since))


def acceptable(sock: socket.socket) -> Waiting:
    """Wait, for as long as it takes, until `sock` has a connection to accept."""
    return trap(Scheduler.wake_when_ready, (sock.fileno(), READ, NEVER))


def writable(sock: socket.socket) -> Waiting:
    """Wait until `sock` has room for something to send."""
    return trap(Scheduler.wake_when_ready, (sock.fileno(), WRITE, None))


def sleep(seconds: float) -> Waiting:
    """Wait for at least so long."""
    return trap(Scheduler.wake_later, seconds)


def room(sock: socket.socket, seconds: float) -> Task:
    """Wait until there is room to send, or until the peer has taken no byte for so many seconds.

    0: for ever. Otherwise the scheduler's patience for a WRITE is a part of it: see `Stuck`.
    """
    stuck = Stuck(seconds, sock)
    while True:
        try:
            return (yield from writable(sock))
        except StuckPeer:
            stuck.left()


def send_all(sock: socket.socket, data: bytes, write_seconds: float = 0) -> Iterable[Trap]:
    """Send all of `data`, waiting only when the kernel has no room for it.

    Nothing is left to wait for in the usual case, and then there is no generator to be made.
    """
    try:
        sent = sock.send(data)
    except BlockingIOError:
        sent = 0
    return send_rest(sock, memoryview(data)[sent:], write_seconds) if sent < len(data) else ()


def send_rest(sock: socket.socket, left: memoryview, write_seconds: float) -> Task:
    """Send what the kernel had no room for."""
    while left:
        yield from room(sock, write_seconds)
        with suppress(BlockingIOError):
            left = left[sock.send(left) :]


def send_file(sock: socket.socket, step: SendFile, write_seconds: float = 0) -> Task:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        try:
            sent = os.sendfile(sock.fileno(), step.file.fileno(), offset, end - offset)
        except BlockingIOError:
            yield from room(sock, write_seconds)
        except OSError as error:  # the file cannot be read, or the peer has gone: both end so
            raise CutShort from error
        else:
            if not sent:
                raise CutShort
            offset += sent


class Timer:
    """Something to do later; `done` once it has been done or cancelled."""

    __slots__ = ("_action", "done")

    def __init__(self, action: Callable[[], object]) -> None:
        self._action: Callable[[], object] | None = action
        self.done = False

    def cancel(self) -> None:
        """Let nothing happen, and forget what should have."""
        self._action = None
        self.done = True

    def fire(self) -> None:
        """Do it, unless cancelled."""
        if self._action is not None:
            self._action()
        self.done = True


class Scheduler:
    """Runs tasks until all have ended. One task at a time may wait for a socket."""

    def __init__(self, patience: Patience | None = None) -> None:
        """Have no task wait longer for a socket than `patience` says, if anything."""
        self._tasks = 0  # those that have not ended
        self._turns: deque[Task] = deque()  # tasks that can go on
        self._timers: list[tuple[float, int, Timer]] = []  # a heap; the number breaks ties
        self._timer_numbers = count()
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}  # descriptor: READ or WRITE
        self._waiting: dict[int, Task] = {}  # descriptor: who goes on when it is ready
        self._patience = patience
        self._since: dict[int, float] = {}  # descriptor: when the wait began; only with patience
        if patience:
            self._least_patience = min(seconds for seconds, _ in patience.values())
            self._sweep()

    def spawn(self, task: Task) -> None:
        """Give `task` its first turn in the next round."""
        self._tasks += 1
        self._turns.append(task)

    def call_later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Do `action` in `seconds`, unless the timer is cancelled; it keeps no task alive."""
        timer = Timer(action)
        heapq.heappush(self._timers, (monotonic() + seconds, next(self._timer_numbers), timer))
        return timer

    def close(self, sock: Awaited) -> None:
        """Close a socket that tasks have waited for."""
        if self._registered.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock)
        self._since.pop(sock.fileno(), None)
        sock.close()

    def run(self) -> None:
        """Take turns until every task has ended."""
        while self._tasks:
            for _ in range(len(self._turns)):
                self._take_turn(self._turns.popleft())
            self._look_at_sockets()
            if self._timers:
                self._look_at_timers()
        self._epoll.close()

    def _take_turn(self, task: Task, error: Exception | None = None) -> None:
        try:
            operation, argument = next(task) if error is None else task.throw(error)
        except StopIteration:
            self._tasks -= 1
        except Exception:  # noqa: BLE001 - as in a thread: it is told, and the others go on
            self._tasks -= 1
            sys.excepthook(*sys.exc_info())
        else:
            operation(self, task, argument)

    def wake_when_ready(self, task: Task, wait: tuple[int, int, float | None]) -> None:
        """Operation of a trap: let `task` go on when an event comes to a descriptor."""
        descriptor, event, since = wait
        registered = self._registered.get(descriptor)
        if registered != event:
            if registered is None:
                self._epoll.register(descriptor, event)
            else:
                self._epoll.modify(descriptor, event)
            self._registered[descriptor] = event
        self._waiting[descriptor] = task
        if self._patience:
            self._since[descriptor] = monotonic() if since is None else since

    def _sweep(self) -> None:
        """Throw into every task that has waited for too long what `patience` says.

        A timer for each wait would cost more, and leave a heap full of cancelled ones. The next
        sweep is due when the first wait can have become too long, of those that there are and of
        those that are still to begin.
        """
        assert self._patience  # noqa: S101 - or there is no sweep
        now = monotonic()
        due = now + self._least_patience
        overdue: list[tuple[int, type[Exception]]] = []
        for descriptor, since in self._since.items():
            seconds, error = self._patience.get(self._registered[descriptor], FOREVER)
            if since + seconds > now:
                due = min(due, since + seconds)
            elif descriptor in self._waiting:
                overdue.append((descriptor, error))
        for descriptor, error in overdue:
            if task := self._waiting.pop(descriptor, None):
                self._take_turn(task, error())
        self.call_later(max(due - now, SWEEP_SECONDS), self._sweep)

    def wake_later(self, task: Task, seconds: float) -> None:
        """Operation of a trap: let `task` go on in `seconds`."""
        self.call_later(seconds, partial(self._turns.append, task))

    def wake(self, sock: Awaited) -> None:
        """Let the task that waits for `sock`, if one does, go on though nothing has come."""
        if task := self._waiting.pop(sock.fileno(), None):
            self._turns.append(task)

    def _look_at_sockets(self) -> None:
        """Wait for sockets, no longer than until someone can go on or a timer is due."""
        if self._turns or not self._tasks:
            timeout: float | None = 0
        elif self._timers:
            timeout = max(0, self._timers[0][0] - monotonic())
        else:
            timeout = None
        for descriptor, _ in self._epoll.poll(timeout):
            if task := self._waiting.pop(descriptor, None):
                self._take_turn(task)
            elif self._registered.pop(descriptor, None):  # else a task has just closed it
                self._epoll.unregister(descriptor)
                self._since.pop(descriptor, None)

    def _look_at_timers(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            timer.fire()
