"""Twisted: callbacks from its epoll reactor, through its own transport."""

from __future__ import annotations

__all__ = ["Conversing", "Loop", "serve"]

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.tcp import Server

from servers.drivers.callbacks import Conversation
from servers.drivers.reacting import READ, Program
from servers.life.timeouts import reset_at_close

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from servers.drivers.reacting import Watched
    from servers.life.listener import Listener
    from servers.service import Service
    from servers.steps import Run


class Watch:
    """A descriptor that the reactor calls back for."""

    def __init__(self, what: Watched, action: Callable[[int], object]) -> None:
        self.fileno = what.fileno
        self._action = action

    def doRead(self) -> None:  # noqa: N802 - Twisted's word
        """Say that there is something to be read."""
        self._action(READ)

    def connectionLost(self, _: object) -> None:  # noqa: N802 - Twisted's word
        """Say it of its end, too: whoever reads finds out."""
        self._action(READ)

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's word
        """Return what Twisted would begin a line of a log with."""
        return "threadmill"


class Timer:
    """Something to be done later, which may be cancelled also when it has been done."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        """Let it not be done."""
        if self._call.active():
            self._call.cancel()


class Loop:
    """A reactor, with what a conversation and its programs ask of a loop."""

    def __init__(self) -> None:
        self.reactor = EPollReactor()
        self.connections: set[Conversing] = set()  # those that are not over
        self.is_stopping = False
        self._watches: dict[Watched, Watch] = {}

    def watch(self, what: Watched, events: int, action: Callable[[int], object]) -> None:
        """Call `action` each time that there is something to be read, if `events` are any."""
        if known := self._watches.pop(what, None):
            self.reactor.removeReader(known)
        if events:
            self._watches[what] = Watch(what, action)
            self.reactor.addReader(self._watches[what])

    def forget(self, what: Watched) -> None:
        """Watch it no more."""
        self.watch(what, 0, print)

    def call_later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Do something in so many seconds; 0: when the others have had their turn."""
        return Timer(self.reactor.callLater(seconds, action))

    def accept(self, listener: Listener, service: Service) -> None:
        """Accept connections from now on, one each time that some wait, until the stop."""

        def accept_ready(_: int) -> None:
            try:
                connection, address = listener.accept()
            except OSError as error:
                if listener.stop.begun:
                    self.forget(listener)
                    self.stop()
                elif pause_seconds := listener.admission.pause_after(error):
                    self.forget(listener)
                    self.call_later(pause_seconds, begin)
            else:
                Conversing(self, service).begin_on(connection, address)

        def begin() -> None:
            self.watch(listener, READ, accept_ready)

        begin()

    def run(self) -> None:
        """Call back until the stop, and until no connection is left."""
        self.reactor.run(installSignalHandlers=False)  # they are ours

    def close(self) -> None:
        """Let go of the reactor's own descriptors."""
        for reader in self.reactor.removeAll() + list(self.reactor._internalReaders):
            reader.connectionLost(None)
        self.reactor._poller.close()

    def stop(self) -> None:
        """End when no connection is left."""
        self.is_stopping = True
        self.look_for_the_end()

    def look_for_the_end(self) -> None:
        """End if it is time to."""
        if self.is_stopping and not self.connections:
            self.reactor.callLater(0, self.reactor.crash)  # nothing is left for it to wind up


class Transport(Server):  # type: ignore[misc]  # mypy is not told of Twisted's types
    """Twisted's transport, which keeps the other direction open at the peer's end."""

    def readConnectionLost(self, _: object) -> None:  # noqa: N802 - Twisted's word
        """Tell the protocol of the peer's end."""
        self.protocol.ended()


class Conversing(Conversation):
    """A connection's protocol, and the producer of what its transport sends."""

    def __init__(self, loop: Loop, service: Service) -> None:
        self._loop = loop
        self._service = service
        self._has_room = True
        self._program: Program | None = None

    def begin_on(self, connection: socket.socket, address: object) -> None:
        """Serve a connection."""
        self._connection = connection
        self._loop.connections.add(self)
        self._transport = Transport(connection, self, address, None, 0, self._loop.reactor)
        self._transport.registerProducer(self, True)  # one that pushes
        self.begin(self._service.session())

    dataReceived = Conversation.received  # noqa: N815 - Twisted's word

    def connectionLost(self, _: object) -> None:  # noqa: N802 - Twisted's word
        """Let go."""
        self._loop.connections.discard(self)
        if self._program:
            self._program.end()
            self._program = None
        self.lost()
        self._loop.look_for_the_end()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's word
        """Learn that the transport has enough to send."""
        self._has_room = False

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's word
        """Go on."""
        self._has_room = True
        self.resumed()
        if self._program:
            self._program.go_on()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's word
        """Learn that the connection is lost, which `connectionLost` is told, too."""

    def send(self, data: bytes) -> bool:
        """See `Conversation`."""
        self._transport.write(data)
        return self._has_room

    def run(self, step: Run) -> None:
        """See `Conversation`."""
        self._program = Program(self, self._loop, step)

    def ran(self) -> None:
        """See `Conversation`."""
        self._program = None
        super().ran()

    def send_end(self) -> None:
        """See `Conversation`."""
        self._transport.unregisterProducer()  # or it would be asked for more instead
        self._transport.loseWriteConnection()

    def pause_receiving(self) -> None:
        """See `Conversation`."""
        self._transport.stopReading()

    def resume_receiving(self) -> None:
        """See `Conversation`."""
        self._transport.resumeProducing()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """See `Conversation`."""
        return self._loop.call_later(seconds, action)

    def reset(self) -> None:
        """See `Conversation`."""
        reset_at_close(self._connection)
        self._transport.abortConnection()

    def close(self) -> None:
        """See `Conversation`."""
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    @property
    def socket(self) -> socket.socket:
        """See `Conversation`."""
        return self._connection


def serve(listener: Listener, service: Service, ready: Callable[[], None]) -> None:
    """Serve until the listener stops and the connections have ended."""
    listener.setblocking(False)
    loop = Loop()
    loop.accept(listener, service)
    ready()
    loop.run()
