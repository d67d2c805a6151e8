"""How datagrams are answered: one call for threads and processes, and one object for loops.

A reply is bytes, or steps in which there may be a wait. Who has a thread for each sleeps; a loop
has a timer, and takes MOST_WAITING at a time: whoever sends WAITs would otherwise fill the memory.
"""

from __future__ import annotations

__all__ = ["MOST_WAITING", "Deferring", "exchange"]

from time import sleep

from servers.datagrams import BUSY

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from servers.datagrams import Conversation
    from servers.life.mailbox import Mailbox
    from servers.steps import Step

    Address = Any

MOST_WAITING = 1_024
"""Requests under way at a time: timers of a loop, or threads where each request has one."""


def exchange(
    mailbox: Mailbox, conversation: Conversation, datagram: bytes, address: Address
) -> None:
    """Answer one datagram, and take the time that it takes."""
    reply = conversation.receive(datagram)
    if isinstance(reply, bytes):
        mailbox.answer(reply, address)
    elif reply:
        for step in reply:
            if isinstance(step, bytes):
                mailbox.answer(step, address)
            else:
                sleep(step.seconds)  # type: ignore[union-attr]  # files are not for datagrams


class Deferring:
    """Answers datagrams on an event loop, where a wait is a timer."""

    def __init__(
        self,
        conversation: Conversation,
        send: Callable[[bytes, Address], object],
        call_later: Callable[..., Any],  # seconds, a function, its arguments
        drop: Callable[[str], object],
    ) -> None:
        self.waiting = 0  # requests whose timers run
        self._receive = conversation.receive
        self._send = send
        self._call_later = call_later
        self._drop = drop

    def received(self, datagram: bytes, address: Address) -> None:
        """Answer a datagram, now or later."""
        reply = self._receive(datagram)
        if isinstance(reply, bytes):
            self._send(reply, address)
        elif reply:
            self._go_on(iter(reply), address)

    def _go_on(self, steps: Iterator[Step], address: Address) -> None:
        for step in steps:
            if isinstance(step, bytes):
                self._send(step, address)
            elif self.waiting >= MOST_WAITING:
                self._drop(BUSY)
                return
            else:
                self.waiting += 1
                seconds = step.seconds  # type: ignore[union-attr]  # files are not for datagrams
                self._call_later(seconds, self._resume, steps, address)
                return

    def _resume(self, steps: Iterator[Step], address: Address) -> None:
        self.waiting -= 1
        self._go_on(steps, address)
