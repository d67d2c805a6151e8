"""The drivers, each over TCP connections within this process: all of a conversation, no server.

How bytes are cut into frames, how slow a peer may be and what becomes of a file that is being sent
is a driver's doing, whichever model uses it. So it is shown here once per driver; what a model
adds, by accepting, spreading and stopping, is shown of server processes.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from servers.commands import Commands
from servers.drivers import awaiting, blocking, protocols, streams, yielding
from servers.drivers.reacting import Reacting
from servers.drivers.scheduler import Scheduler
from servers.life.timeouts import Timeouts
from servers.models.asyncio_sock import sockets_of
from servers.models.epoll import Epoll
from servers.protocol import DEFAULT_LIMIT, ECHO
from servers.service import Service
from tests.peer import Peer

DEADLINE_SECONDS = 15.0

Serve = Callable[[socket.socket, Service, Timeouts], None]


def _block(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    blocking.converse(connection, service.session())


def _yield(connection: socket.socket, service: Service, timeouts: Timeouts) -> None:
    connection.setblocking(False)
    scheduler = Scheduler(yielding.patience(timeouts))
    scheduler.spawn(yielding.converse(connection, service.session(), scheduler))
    scheduler.run()


def _stream(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    async def serve() -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await streams.converse(service, reader, writer)

    asyncio.run(serve())


def _call_back(protocol: type[protocols.Conversing]) -> Serve:
    def serve(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
        async def wait_until_over() -> None:
            connection.setblocking(False)
            over = asyncio.Event()
            await protocol(service, connection, over.set).connect()
            await over.wait()

        asyncio.run(wait_until_over())

    return serve


def _react(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    class Nobody:
        """A listener that has stopped: what is left is the connection."""

        class stop:  # noqa: N801 - stands for an attribute
            begun = True

    connection.setblocking(False)
    loop = Epoll()
    loop.connections.add(Reacting(loop, connection, service))
    loop.run(Nobody)  # type: ignore[arg-type]  # all that it asks of a listener
    loop.close()


def _await(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    async def serve() -> None:
        runtime = sockets_of(asyncio.get_running_loop())
        await awaiting.converse(connection, service.session(), runtime)

    connection.setblocking(False)
    asyncio.run(serve())


# A library is imported by the test that needs it, and not by all: conftest imports this module.


def _await_in_trio(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    import trio

    from servers.models.trio import TRIO

    trio.run(awaiting.converse, connection, service.session(), TRIO)


def _await_in_anyio(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    import anyio

    from servers.models.anyio import conversing as serve

    connection.setblocking(False)
    anyio.run(serve, service, connection)


def _block_greenlets(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    import gevent
    import gevent.socket
    from gevent.hub import Hub, set_hub

    from servers.models.gevent import GREENLETS

    # The default loop of libev would reap every child of this process, whoever waits for it.
    set_hub(Hub(default=False))
    ours = gevent.socket.socket(fileno=connection.detach())
    # gevent's own subprocesses need the main thread: those are shown of its server.
    waiting = GREENLETS._replace(start_child=blocking.start_child)
    gevent.spawn(blocking.converse, ours, service.session(), waiting).get()
    gevent.get_hub().destroy(destroy_loop=True)  # this thread's, with its descriptors


def _call_back_in_twisted(connection: socket.socket, service: Service, _timeouts: Timeouts) -> None:
    from servers.models.twisted import Conversing, Loop

    connection.setblocking(False)
    loop = Loop()
    Conversing(loop, service).begin_on(connection, ("127.0.0.1", 0))  # whoever it was
    loop.stop()
    loop.run()
    loop.close()


DRIVERS: dict[str, Serve] = {
    "blocking": _block,
    "yielding": _yield,
    "streams": _stream,
    "protocols": _call_back(protocols.Conversing),
    "reacting": _react,
    "awaiting": _await,
    "buffered protocols": _call_back(protocols.ConversingBuffered),
    "awaiting, trio": _await_in_trio,
    "awaiting, anyio": _await_in_anyio,
    "blocking, gevent": _block_greenlets,
    "callbacks, twisted": _call_back_in_twisted,
}
"""By its name: what serves one connection to its end."""

NEEDS = {
    "awaiting, trio": "trio",
    "awaiting, anyio": "anyio",
    "blocking, gevent": "gevent",
    "callbacks, twisted": "twisted",
}
RUNNABLE = [name for name in DRIVERS if name not in NEEDS or find_spec(NEEDS[name])]
"""The drivers whose library is installed."""


class Conversations:
    """Connections that one driver serves, each in a thread of its own."""

    def __init__(
        self,
        driver: str,
        *,
        root: Path | None = None,
        limit: int = DEFAULT_LIMIT,
        idle_seconds: float = 0.0,
        write_seconds: float = 0.0,
        commands: Commands | None = None,
    ) -> None:
        self._converse = DRIVERS[driver]
        self._timeouts = Timeouts(idle_seconds, write_seconds)
        self._service = Service(
            limit, None if root is None else str(root), self._timeouts, commands=commands
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []

    def peer(self, receive_bytes: int = 0) -> Peer:
        """Return the other end of a new conversation; `receive_bytes` bounds what it takes."""
        peer = Peer(self._listener.getsockname()[1], receive_bytes)
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        arguments = (connection, self._service, self._timeouts)
        thread = threading.Thread(target=self._converse, args=arguments)
        self._threads.append(thread)
        thread.start()
        return peer

    def wait_until_over(self) -> None:
        """Wait for the end of all conversations, which is due once their peers have gone.

        What a driver raises is an error of the test under way: pytest sees to that.
        """
        while self._threads:
            thread = self._threads.pop()
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "the conversation goes on without its peer"

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()
        self.wait_until_over()


@contextmanager
def conversing(driver: str, **options: object) -> Iterator[Conversations]:
    """Hold conversations with `driver`: the options are those of Conversations."""
    conversations = Conversations(driver, **options)  # type: ignore[arg-type]
    try:
        yield conversations
    finally:
        conversations.close()


@contextmanager
def unharmed(conversations: Conversations) -> Iterator[None]:
    """Look whether what was opened for the conversations is closed, and the next one is served."""
    conversations.wait_until_over()
    before = open_descriptors()
    yield
    conversations.wait_until_over()
    with conversations.peer() as peer:
        assert peer.ask(ECHO, 1, b"well?") == (ECHO + 128, 1, b"well?")
    conversations.wait_until_over()
    assert open_descriptors() == before


def open_descriptors() -> dict[str, str]:
    """Return what this process has open, by number."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it is the one with which they were listed
            found[path.name] = str(path.readlink())
    return found
