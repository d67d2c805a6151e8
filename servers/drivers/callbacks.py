"""The conversation for runtimes that call back; `blocking` has it on a blocking socket.

Nothing in here waits. The runtime says what has happened (`received`, `ended`, `resumed`, `lost`),
and the conversation carries steps out until one of them takes time; it goes on when it is told that
this has passed. While a reply is under way nothing is received, so pipelined requests wait in the
kernel and what a connection has ready to be sent stays bounded.

A runtime subclasses `Conversation` and implements what the class leaves open: each of these begins
something and returns at once.
"""

from __future__ import annotations

__all__ = ["Cancellable", "Conversation"]

from servers.drivers import read_piece
from servers.life.timeouts import Idle, Stuck
from servers.steps import (
    CutShort,
    DrainFor,
    IdlePeer,
    Report,
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
    import socket
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from servers.service import Session
    from servers.steps import LastStep, Step

    class Cancellable(Protocol):
        """Something that will be done later."""

        def cancel(self) -> object:
            """Let it not be done."""


ROOM, FILE, TIME, END = "room to send", "a file's piece to go", "a time to pass", "the peer's end"
PROGRAM = "a program to end"
"""What a step under way may wait for."""


class Conversation:
    """One connection's conversation, told what happens and never waiting."""

    def begin(self, session: Session) -> None:
        """Take a connection over, from which nothing has been received yet."""
        self._session = session
        self._steps: Iterator[Step | LastStep] = iter(())  # those still to be done
        self._waits_for = ""  # while the one before them takes time
        self._is_leaving = False  # they are those of a farewell
        self._is_closing = False
        self._is_over = False
        self._is_paused = False  # nothing is to be received
        self._has_ended = False  # the peer has, while a reply was under way
        self._timer: Cancellable | None = None  # of a step
        self._look_timer: Cancellable | None = None  # of the timeouts
        self._stuck: Stuck | None = None  # while something is left to be sent
        timeouts = session.timeouts
        self._idle = Idle(timeouts.idle) if timeouts else None
        if self._idle:
            self._look()

    # What the runtime calls.

    def received(self, data: bytes) -> None:
        """Serve what has come."""
        if self._is_leaving:
            return  # and throw it away
        steps = self._session.receive(data)
        if steps:
            self._steps = iter(steps)
            self._go_on()
            if self._waits_for and not self._is_leaving:
                self._is_paused = True
                self.pause_receiving()

    def ended(self) -> None:
        """Take leave of a peer that has ended its sending."""
        self._has_ended = True
        if self._waits_for == END:
            self._drained()
        elif not self._waits_for and not self._is_leaving:
            self._leave(None)

    def resumed(self) -> None:
        """Go on, for there is room to send again."""
        if not self._is_closing:
            self._stuck = None
        if self._waits_for == ROOM:
            self._go_on()

    def file_sent(self, *, has_room: bool = True) -> None:
        """Go on, for a file's piece has gone, or is the transport's to send when it has room."""
        if self._waits_for == FILE:
            self._waits_for = ROOM
            if has_room:
                self.resumed()

    def ran(self) -> None:
        """Go on, for a program has ended and what it has written was sent."""
        if self._waits_for == PROGRAM:
            self._go_on()

    def failed(self, fault: type[OSError]) -> None:
        """Do what a fault calls for."""
        if not self._is_over:
            self._leave(fault)

    def lost(self) -> None:
        """Let go of a connection that is closed."""
        self._is_over = self._is_leaving = True
        self._waits_for = ""
        self._steps = iter(())
        for timer in (self._timer, self._look_timer):
            if timer:
                timer.cancel()
        self._session.close()

    # What a runtime implements.

    def send(self, data: bytes) -> bool:
        """Send `data`; return whether more may follow at once, or only after `resumed`."""
        raise NotImplementedError

    def send_file(self, step: SendFile) -> None:
        """Send a piece of a file, and call `file_sent`, or `failed` with CutShort.

        It is read and sent, unless a runtime knows a way to the kernel's sendfile.
        """
        try:
            piece = read_piece(step)
        except CutShort:
            self.failed(CutShort)
        else:
            self.file_sent(has_room=self.send(piece))

    def run(self, step: Run) -> None:
        """Run a program and send what it writes, and call `ran`; `lost` is to end it."""
        raise NotImplementedError

    def send_end(self) -> None:
        """Send the end of the stream after all that was sent."""
        raise NotImplementedError

    def pause_receiving(self) -> None:
        """Call neither `received` nor `ended` until `resume_receiving`."""
        raise NotImplementedError

    def resume_receiving(self) -> None:
        """Call them again."""
        raise NotImplementedError

    def call_later(self, seconds: float, action: Callable[[], None]) -> Cancellable:
        """Call `action` in so many seconds; 0: when the others have had their turn."""
        raise NotImplementedError

    def reset(self) -> None:
        """Reset the connection, and then call `lost`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection once everything is sent, and then call `lost`."""
        raise NotImplementedError

    @property
    def socket(self) -> socket.socket:
        """The connection's socket."""
        raise NotImplementedError

    # The steps.

    def _go_on(self) -> None:
        """Carry steps out until one takes time, or none is left."""
        self._waits_for = ""
        for step in self._steps:
            if isinstance(step, bytes):
                if not self.send(step):
                    self._waits_for = ROOM
                    self._watch_for_room()
            else:
                DO[type(step)](self, step)
            if self._waits_for:
                return
        if self._is_over:
            return
        if self._is_leaving or self._has_ended or self._session.closing:
            self._leave(None)
        else:
            if self._idle:
                self._idle.restart()
            self._receive_again()

    def _receive_again(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.resume_receiving()

    def _leave(self, fault: type[OSError] | None) -> None:
        """Begin what is to be done before the close, or close."""
        self._is_leaving = True
        if self._timer:
            self._timer.cancel()
        steps = self._session.farewell(fault)
        if steps:
            self._steps = iter(steps)
            self._go_on()
        elif not self._is_closing:
            self._is_closing = True
            self._waits_for = ""
            self.close()
            if not self._is_over:
                self._watch_for_room()  # what is still to be sent has to be taken in time, too

    def _wait(self, step: Wait) -> None:
        self._waits_for = TIME
        self._timer = self.call_later(step.seconds, self._go_on)

    def _send_file(self, step: SendFile) -> None:
        self._waits_for = FILE
        self._watch_for_room()
        self.send_file(step)

    def _run(self, step: Run) -> None:
        self._waits_for = PROGRAM
        self.run(step)

    def _shut_sending(self, _: ShutSending) -> None:
        self.send_end()

    def _drain(self, step: DrainFor) -> None:
        if self._has_ended:
            return
        self._waits_for = END
        self._timer = self.call_later(step.seconds, self._drained)
        self._receive_again()

    def _drained(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._go_on()

    def _reset(self, _: Reset) -> None:
        self._is_closing = True
        self.reset()

    def _report(self, step: Report) -> None:
        step.tell(self.socket)

    # The timeouts.

    def _watch_for_room(self) -> None:
        timeouts = self._session.timeouts
        if timeouts and timeouts.write:
            self._stuck = Stuck(timeouts.write, self.socket)
            if self._look_timer:
                self._look_timer.cancel()
            self._look()

    def _look(self) -> None:
        """Look whether the peer has taken too long, and when to look again."""
        self._look_timer = None
        try:
            if self._stuck:
                left = self._stuck.left()
            elif self._idle and not self._is_leaving:
                # A reply that takes its time is not the peer's fault.
                left = self._idle.seconds if self._waits_for else self._idle.left()
            else:
                return
        except (IdlePeer, StuckPeer) as fault:
            self.failed(type(fault))
            return
        if left:
            self._look_timer = self.call_later(left, self._look)


DO: dict[type, Callable[..., None]] = {
    Wait: Conversation._wait,
    SendFile: Conversation._send_file,
    Run: Conversation._run,
    ShutSending: Conversation._shut_sending,
    DrainFor: Conversation._drain,
    Reset: Conversation._reset,
    Report: Conversation._report,
}
"""How each step but bytes is carried out."""
