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

from servers.life.timeouts import StuckPeer, bytes_taken
from servers.steps import CutShort, SendFile

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

Trap = tuple[Callable[..., None], tuple[object, ...]]
"""What to have the scheduler do: one of its operations, and arguments to follow the task."""
Waiting = tuple[Trap]
"""What to `yield from`."""
Task = Generator[Trap, None, None]

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

Patience = dict[int, tuple[float, type[Exception]]]
"""By READ or WRITE: the seconds that a task may wait for it, and what is thrown into it then."""
FOREVER = (float("inf"), TimeoutError)


def trap(operation: Callable[..., None], *arguments: object) -> Waiting:
    """Have the scheduler do `operation`, and wait. Nothing else hands control over.

    A tuple of one, because `yield from` takes that to the scheduler without a generator in between,
    which would cost a tenth of a small request. It can be waited for again and again.
    """
    return ((operation, arguments),)


def readable(sock: socket.socket) -> Waiting:
    """Wait until `sock` has something to receive."""
    return trap(Scheduler.wake_when_ready, sock, READ)


def acceptable(sock: socket.socket) -> Waiting:
    """Wait, for as long as it takes, until `sock` has a connection to accept."""
    return trap(Scheduler.wake_when_ready, sock, READ, True)


def writable(sock: socket.socket) -> Waiting:
    """Wait until `sock` has room for something to send."""
    return trap(Scheduler.wake_when_ready, sock, WRITE)


def sleep(seconds: float) -> Waiting:
    """Wait for at least so long."""
    return trap(Scheduler.wake_later, seconds)


def room(sock: socket.socket) -> Task:
    """Wait until there is room to send, for as long as the peer goes on taking what was sent.

    The kernel says "writable" only once a third of its buffer is free, which a slow peer may take
    longer for than the scheduler's patience lasts. So that has to run out twice, without a byte
    taken in between.
    """
    taken = -1
    while True:
        try:
            return (yield from writable(sock))
        except StuckPeer:
            if taken == (taken := bytes_taken(sock)):
                raise


def send_all(sock: socket.socket, data: bytes) -> Iterable[Trap]:
    """Send all of `data`, waiting only when the kernel has no room for it.

    Nothing is left to wait for in the usual case, and then there is no generator to be made.
    """
    try:
        sent = sock.send(data)
    except BlockingIOError:
        sent = 0
    return send_rest(sock, memoryview(data)[sent:]) if sent < len(data) else ()


def send_rest(sock: socket.socket, left: memoryview) -> Task:
    """Send what the kernel had no room for."""
    while left:
        yield from room(sock)
        with suppress(BlockingIOError):
            left = left[sock.send(left) :]


def send_file(sock: socket.socket, step: SendFile) -> Task:
    """Have the kernel send a piece of a file; CutShort when it is no longer there."""
    offset, end = step.offset, step.offset + step.count
    while offset < end:
        try:
            sent = os.sendfile(sock.fileno(), step.file.fileno(), offset, end - offset)
        except BlockingIOError:
            yield from room(sock)
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
            self._sweep_seconds = min(seconds for seconds, _ in patience.values()) / 4
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

    def close(self, sock: socket.socket) -> None:
        """Close a socket that tasks have waited for."""
        if self._registered.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock)
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
            operation, arguments = next(task) if error is None else task.throw(error)
        except StopIteration:
            self._tasks -= 1
        except Exception:  # noqa: BLE001 - as in a thread: it is told, and the others go on
            self._tasks -= 1
            sys.excepthook(*sys.exc_info())
        else:
            operation(self, task, *arguments)

    def wake_when_ready(
        self, task: Task, sock: socket.socket, event: int, patient: bool = False
    ) -> None:
        """Operation of a trap: let `task` go on when `event` comes to `sock`."""
        descriptor = sock.fileno()
        registered = self._registered.get(descriptor)
        if registered != event:
            if registered is None:
                self._epoll.register(descriptor, event)
            else:
                self._epoll.modify(descriptor, event)
            self._registered[descriptor] = event
        self._waiting[descriptor] = task
        if self._patience:
            self._since[descriptor] = float("inf") if patient else monotonic()

    def _sweep(self) -> None:
        """Throw into every task that has waited for too long what `patience` says, now and then.

        A timer for each wait would cost more, and leave a heap full of cancelled ones.
        """
        assert self._patience  # noqa: S101 - or there is no sweep
        now = monotonic()
        for descriptor, task in list(self._waiting.items()):
            seconds, error = self._patience.get(self._registered[descriptor], FOREVER)
            if now - self._since[descriptor] > seconds:
                del self._waiting[descriptor]
                self._take_turn(task, error())
        self.call_later(self._sweep_seconds, self._sweep)

    def wake_later(self, task: Task, seconds: float) -> None:
        """Operation of a trap: let `task` go on in `seconds`."""
        self.call_later(seconds, partial(self._turns.append, task))

    def _look_at_sockets(self) -> None:
        """Wait for sockets, no longer than until someone can go on or a timer is due."""
        if self._turns or not self._tasks:
            timeout: float | None = 0
        elif self._timers:
            timeout = max(0, self._timers[0][0] - monotonic())
        else:
            timeout = None
        for descriptor, _ in self._epoll.poll(timeout):
            task = self._waiting.pop(descriptor, None)
            if task is not None:
                self._turns.append(task)
            else:
                self._epoll.unregister(descriptor)
                del self._registered[descriptor]

    def _look_at_timers(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            timer.fire()
