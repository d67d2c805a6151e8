"""The conversation on a socket that does not block, by callbacks from a loop of our own.

What a loop has is its timers (`Timers`); how it learns of what is ready is a model's to show. It
offers `watch(what, events, action)`, which replaces what was watched there before (0: nothing, but
it is kept), and `forget(what)`.
"""

from __future__ import annotations

__all__ = ["READ", "WRITE", "Program", "Reacting", "Timer", "Timers", "Watched"]

import heapq
import os
import select
import socket
from collections import deque
from itertools import count
from time import monotonic

from servers.drivers import RECEIVE_BYTES
from servers.drivers.callbacks import Conversation
from servers.life.timeouts import reset_at_close
from servers.steps import CutShort

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from servers.drivers.callbacks import Cancellable
    from servers.drivers.running import Child
    from servers.life.listener import Listener
    from servers.service import Service
    from servers.steps import Run, SendFile

    class Watched(Protocol):
        """What has a descriptor."""

        def fileno(self) -> int:
            """Return it."""

    class Watching(Protocol):
        """What a program under way asks of a loop."""

        def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
            """As `Timers` has it."""

        def forget(self, what: Watched) -> None:
            """As `Timers` has it."""

        def call_later(self, seconds: float, action: Callable[[], None]) -> Cancellable:
            """As `Timers` has it."""


READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Timer:
    """Something to be done later, unless it is cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        """Let it not be done."""
        self.action = None


class Timers:
    """What a loop of our own has beside its sockets: things to be done soon, or later."""

    def __init__(self) -> None:
        self.connections: set[Reacting] = set()  # those that are not over
        self._soon: deque[Timer] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()  # break ties: timers have no order

    def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
        """Call `action` with what is ready of `events`, each time that something is."""
        raise NotImplementedError

    def forget(self, what: Watched) -> None:
        """Watch it no more, before it is closed."""
        raise NotImplementedError

    def call_later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Do something in so many seconds; 0: when the others have had their turn."""
        timer = Timer(action)
        if seconds:
            heapq.heappush(self._timers, (monotonic() + seconds, next(self._numbers), timer))
        else:
            self._soon.append(timer)
        return timer

    def seconds_left(self) -> float | None:
        """Return for how long the loop may wait for sockets; None: for ever."""
        if self._soon:
            return 0
        return max(0.0, self._timers[0][0] - monotonic()) if self._timers else None

    def fire(self) -> None:
        """Do what is due."""
        while self._timers and self._timers[0][0] <= monotonic():
            self._soon.append(heapq.heappop(self._timers)[2])
        for _ in range(len(self._soon)):
            if action := self._soon.popleft().action:
                action()

    def accept(self, listener: Listener, service: Service) -> None:
        """Accept connections from now on, one each time that some wait, until the stop."""

        def accept_ready(_: int) -> None:
            try:
                connection, _address = listener.accept()
            except OSError as error:
                if listener.stop.begun:
                    self.forget(listener)
                elif pause_seconds := listener.admission.pause_after(error):
                    self.watch(listener, 0, accept_ready)
                    self.call_later(pause_seconds, begin)
            else:
                connection.setblocking(False)
                self.connections.add(Reacting(self, connection, service))

        def begin() -> None:
            self.watch(listener, READ, accept_ready)

        begin()


class Reacting(Conversation):
    """A connection that a loop calls when it is ready."""

    def __init__(self, loop: Timers, connection: socket.socket, service: Service) -> None:
        self._loop = loop
        self._connection = connection
        self._events = 0
        self._is_reading = True
        self._unsent: list[memoryview] = []  # or empty
        self._file: SendFile | None = None  # while there is no room for its next bytes
        self._then: Callable[[], object] | None = None  # to do once everything is sent
        self._program: Program | None = None
        self.begin(service.session())
        self._watch()

    def _watch(self) -> None:
        is_writing = self._unsent or self._file
        events = (READ if self._is_reading else 0) | (WRITE if is_writing else 0)
        if events != self._events and not self._is_over:
            self._events = events
            self._loop.watch(self._connection, events, self._ready)

    def _ready(self, events: int) -> None:
        if events & ~READ and (self._unsent or self._file):
            self._send_more()
        elif self._is_reading:
            self._receive()
        elif events & ~(READ | WRITE):
            self._lose()  # reset while a reply was under way

    def _receive(self) -> None:
        try:
            data = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        if data:
            self.received(data)
        else:
            self._is_reading = False
            self._watch()
            self.ended()

    def send(self, data: bytes) -> bool:
        """See `Conversation`."""
        if not self._unsent:
            try:
                sent = self._connection.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._loop.call_later(0, self._lose)
                return True
            if sent == len(data):
                return True
            data = data[sent:]
        self._unsent.append(memoryview(data))
        self._watch()
        return False

    def _send_more(self) -> None:
        try:
            while self._unsent:
                sent = self._connection.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    del self._unsent[0]
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        if file := self._file:
            self._file = None
            self.send_file(file)
        self._watch()
        if self._unsent or self._file:
            return
        if self._then:
            self._then()
        else:
            self.resumed()
        if self._program:
            self._program.go_on()

    def send_file(self, step: SendFile) -> None:
        """Have the kernel send it, as far as there is room."""
        if self._unsent:
            sent = 0
        else:
            try:
                sent = os.sendfile(
                    self._connection.fileno(), step.file.fileno(), step.offset, step.count
                )
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = -1
            else:
                sent = sent or -1  # the file has become too short
        if sent < 0:
            self._loop.call_later(0, self._cut_short)
        elif sent == step.count:
            self._loop.call_later(0, self.file_sent)
        else:
            self._file = type(step)(step.file, step.offset + sent, step.count - sent)
            self._watch()

    def _cut_short(self) -> None:
        self.failed(CutShort)

    def run(self, step: Run) -> None:
        """See `Conversation`."""
        self._program = Program(self, self._loop, step)

    def ran(self) -> None:
        """See `Conversation`."""
        self._program = None
        super().ran()

    def send_end(self) -> None:
        """See `Conversation`."""
        self._when_sent(self._shut_sending_side)

    def _shut_sending_side(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._loop.call_later(0, self._lose)

    def _when_sent(self, action: Callable[[], object]) -> None:
        if self._unsent:
            self._then = action
        else:
            action()

    def pause_receiving(self) -> None:
        """See `Conversation`."""
        self._is_reading = False
        self._watch()

    def resume_receiving(self) -> None:
        """See `Conversation`."""
        self._is_reading = True
        self._watch()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """See `Conversation`."""
        return self._loop.call_later(seconds, action)

    def reset(self) -> None:
        """See `Conversation`."""
        reset_at_close(self._connection)
        self._loop.call_later(0, self._lose)  # when it has been said whose connection it was

    def close(self) -> None:
        """See `Conversation`."""
        self._when_sent(self._lose)

    def _lose(self) -> None:
        """Close, with whatever is unsent."""
        if self._is_over:
            return
        self._loop.forget(self._connection)
        self._connection.close()
        self._loop.connections.discard(self)
        if self._program:
            self._program.end()
            self._program = None
        self.lost()

    @property
    def socket(self) -> socket.socket:
        """See `Conversation`."""
        return self._connection


class Program:
    """A program under way: its output is sent as it comes and as there is room."""

    def __init__(self, conversation: Conversation, loop: Watching, step: Run) -> None:
        from servers.drivers.running import Child  # with subprocess, which few servers need

        self._conversation = conversation
        self._loop = loop
        self._child: Child | None = None
        self._timer: Cancellable | None = None
        try:
            self._child = Child(step)
        except OSError as error:
            step.command.cannot_start(error)
            loop.call_later(0, conversation.ran)
            return
        self._frames = self._child.frames()
        self._timer = loop.call_later(0, self.go_on)

    def go_on(self, _: int = 0) -> None:
        """Send what there is, until there is no room or nothing has come; or see it end."""
        child = self._child
        if child is None:
            return
        self._quiet()
        for item in self._frames:
            if not isinstance(item, bytes):
                self._loop.watch(child, READ, self.go_on)
                self._timer = self._loop.call_later(item, self.go_on)
                return
            if not self._conversation.send(item):
                self._timer = self._loop.call_later(child.left() or 0.5, self._look)
                return
        self.end()
        self._conversation.ran()

    def _look(self) -> None:
        """End it in time also while the peer takes nothing."""
        if self._child:
            self._timer = self._loop.call_later(self._child.left() or 0.5, self._look)

    def _quiet(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._child:
            self._loop.watch(self._child, 0, self.go_on)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self._child:
            self._quiet()
            self._loop.forget(self._child)
            self._child.close()
            self._child = None
