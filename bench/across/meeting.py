"""Where the parts of a trial come together: the conductor listens, and those that it invited come.

An invitation goes to a host by whatever starts processes there (Dask, or a command in a network
namespace), and holds a secret: who does not know it is not let in. It is sent in the clear, and so
is all that follows; a network on which others listen is no place for this (docs/cluster.md).
"""

from __future__ import annotations

__all__ = ["Host", "HostError", "Invitation", "Meeting", "Started", "Starter"]

import contextlib
import hmac
import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from bench.across.instants import EXCHANGES, Exchange, Offset, offset_of
from bench.across.lines import Channel, LostError
from bench.errors import TroubleError

ARRIVAL_SECONDS = 30.0
LOOK_SECONDS = 0.2
HELLO_SECONDS = 2.0
"""Within which who has connected says who it is."""


class HostError(TroubleError):
    """A host that cannot be had, is gone, or whose server or generator failed; a sentence."""


class Invitation(NamedTuple):
    """What a part needs to find the conductor; JSON of it is the first line of its input."""

    name: str
    host: str
    port: int
    secret: str


class Started(Protocol):
    """A part that was started somewhere."""

    def trouble(self) -> str:
        """Return why it will not come, or not come back; empty while nothing is known."""

    def end(self) -> None:
        """Let go of it; what is left of it ends."""


class Starter(Protocol):
    """Whatever starts parts on hosts."""

    def start(self, invitation: Invitation) -> Started:
        """Have `python -m bench.across.part` started on the host of this name; HostError."""


class Host:
    """A part that has come, as the conductor sees it; HostError when it or its work fails."""

    def __init__(self, name: str, channel: Channel, facts: Mapping[str, Any]) -> None:
        self.name = name
        self.channel = channel
        self.address = str(facts["address"])
        self.machine = str(facts["machine"])  # hosts with the same share a kernel
        self.cpus = [int(cpu) for cpu in facts["cpus"]]
        self.fingerprint: dict[str, Any] = dict(facts["fingerprint"])

    def tell(self, *call: object) -> None:
        """Begin something there."""
        try:
            self.channel.send(call)
        except LostError as error:
            raise HostError(f"host {self.name} {error}") from error

    def answer(self, seconds: float = ARRIVAL_SECONDS) -> Any:
        """Sleep until it is done, for at most `seconds`, and return what came of it."""
        try:
            answer = self.channel.receive(seconds)
        except LostError as error:
            raise HostError(f"host {self.name} {error}") from error
        if isinstance(answer, dict) and "error" in answer:
            raise HostError(f"on host {self.name}: {answer['error']}")
        return answer

    def call(self, *call: object, seconds: float = ARRIVAL_SECONDS) -> Any:
        """Have something done there."""
        self.tell(*call)
        return self.answer(seconds)

    def clock(self) -> Offset:
        """Return how far its clock is ahead, from some round trips that take a few ms."""
        exchanges = []
        for _ in range(EXCHANGES):
            asked = time.monotonic_ns()
            there = int(self.call("clock"))
            exchanges.append(Exchange(asked, there, there, time.monotonic_ns()))
        return offset_of(exchanges)


class Meeting:
    """The conductor's ear; a context manager, outside of which nothing that was started is left."""

    def __init__(self, starter: Starter, address: str = "127.0.0.1") -> None:
        self._starter = starter
        self._listener = socket.create_server((address, 0), backlog=64)
        self._listener.settimeout(LOOK_SECONDS)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._listener.close()

    def gather(self, names: Iterable[str]) -> dict[str, Host]:
        """Invite hosts, and return them when all have come; HostError when one does not."""
        address, port = self._listener.getsockname()
        invited = {
            name: Invitation(name, address, port, secrets.token_hex(16))
            for name in dict.fromkeys(names)
        }
        started = {name: self._starter.start(each) for name, each in invited.items()}
        for each in started.values():
            self._stack.callback(each.end)
        come: dict[str, Host] = {}
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while missing := invited.keys() - come.keys():
            for name in sorted(missing):
                if trouble := started[name].trouble():
                    raise HostError(f"host {name} cannot take part: {trouble}")
            if time.monotonic() > deadline:
                raise HostError(
                    f"host {min(missing)} cannot take part: nothing came of it within"
                    f" {ARRIVAL_SECONDS:g} s (it must reach {address}, port {port})"
                )
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                if host := self._received(connection, invited):
                    come[host.name] = host
        return come

    def _received(
        self, connection: socket.socket, invited: Mapping[str, Invitation]
    ) -> Host | None:
        """Return who has connected; None, and the connection is closed, when it was not invited."""
        channel = Channel(connection)
        try:
            hello = channel.receive(HELLO_SECONDS)
            known = invited.get(str(hello["name"]))
            if known and hmac.compare_digest(known.secret, str(hello["secret"])):
                self._stack.callback(channel.close)
                return Host(known.name, channel, hello)
        except (LostError, ValueError, KeyError, TypeError):
            pass  # a stranger, who is told nothing
        channel.close()
        return None
