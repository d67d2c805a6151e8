"""How a conversation ends: what a session asks for, and what each driver does about it."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import struct
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from servers.drivers import blocking, streams
from servers.drivers.blocking import Waiting
from servers.life import timeouts as life
from servers.life.timeouts import Idle, Stuck, Timeouts
from servers.protocol import BYE, ECHO, ERROR, GET, WAIT, frame
from servers.service import Service, Session
from servers.steps import CutShort, IdlePeer, StuckPeer
from tests.abuse import serving
from tests.conversations import DRIVERS, conversing
from tests.peer import Peer
from tests.transfers import content, download

IDLE_SECONDS = 0.7
"""As in the report of the fault: a peer was left alone for 1.42 s and more."""


# What a session asks for.


def names(steps: object) -> list[str]:
    assert isinstance(steps, tuple)
    return [type(step).__name__ for step in steps]


@pytest.mark.parametrize(
    ("fault", "closing", "expected"),
    [
        pytest.param(None, False, [], id="the peer's end"),
        pytest.param(None, True, ["ShutSending", "DrainFor"], id="the session's end"),
        pytest.param(
            IdlePeer, False, ["Report", "bytes", "ShutSending", "DrainFor"], id="an idle peer"
        ),
        pytest.param(StuckPeer, False, ["Reset", "Report"], id="a stuck peer"),
        pytest.param(CutShort, True, ["Reset"], id="a frame cut short"),
        pytest.param(ConnectionResetError, False, [], id="a peer that has gone"),
    ],
)
def test_a_farewell(fault: type[OSError] | None, closing: bool, expected: list[str]) -> None:
    session = Session(timeouts=Timeouts(1, 1))
    session.closing = closing
    assert names(session.farewell(fault)) == expected
    assert names(session.farewell(None)) == []  # it is over once it is carried out


def test_a_farewell_that_fails_is_not_begun_anew() -> None:
    session = Session(timeouts=Timeouts(1, 1))
    session.farewell(IdlePeer)
    assert names(session.farewell(IdlePeer)) == []
    assert names(session.farewell(StuckPeer)) == ["Reset", "Report"]
    assert names(session.farewell(TimeoutError)) == []


# When a peer has taken too long: with a clock that stands still unless it is put forward.


class Clock:
    """Says a time that a test puts forward."""

    def __init__(self) -> None:
        self.now = 1000.1  # where a difference of sums is not what was added

    def __call__(self) -> float:
        return self.now


def waits(left: float | None) -> float:
    assert left is not None
    return left


@pytest.mark.parametrize("seconds", [0.01, 0.5, 0.7, 1.1, 60.0])
def test_an_idle_peer_has_its_time_and_no_more_however_often_the_wait_is_begun(
    seconds: float,
) -> None:
    for pieces in (1, 3, 7, 10):
        clock = Clock()
        idle = Idle(seconds, clock)
        began = clock.now
        with pytest.raises(IdlePeer):
            wait_in_pieces(idle, clock, seconds / pieces)
        assert clock.now == pytest.approx(began + seconds)


def wait_in_pieces(what: Idle | Stuck, clock: Clock, piece: float = 1.0) -> None:
    while True:
        clock.now += min(waits(what.left()), piece)


def test_a_frame_that_begins_late_gets_no_time_of_its_own() -> None:
    clock = Clock()
    idle = Idle(1.0, clock)
    clock.now += 0.9  # the first byte of a frame, which completes nothing
    assert waits(idle.left()) == pytest.approx(0.1)
    idle.restart()  # a whole one
    assert waits(idle.left()) == pytest.approx(1.0)


def test_no_timeout_is_waited_for_for_ever() -> None:
    assert Idle(0).left() is None
    with socket.socket() as nobody:
        assert Stuck(0, nobody).left() is None


def test_a_peer_is_stuck_once_it_takes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    taken = [0]
    monkeypatch.setattr(life, "bytes_taken", lambda _: taken[0])
    with socket.socket() as nobody:
        stuck = Stuck(1.0, nobody, clock)
        for _ in range(20):  # a byte in all its time is enough
            taken[0] += 1
            for _ in range(3):
                clock.now += waits(stuck.left())
        stopped = clock.now
        with pytest.raises(StuckPeer):
            wait_in_pieces(stuck, clock)
    assert clock.now <= stopped + 1.0 + 1.0 / life.LOOKS


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("late_bytes", [b"", b"\0"], ids=["silent", "a frame begun late"])
def test_an_idle_peer_is_left_after_the_timeout_and_not_after_twice_that(
    driver: str, late_bytes: bytes
) -> None:
    with conversing(driver, idle_seconds=IDLE_SECONDS) as conversations:
        with conversations.peer() as peer:
            assert peer.ask(ECHO)
            begun = time.monotonic()
            if late_bytes:
                assert not select.select([peer.socket], [], [], IDLE_SECONDS * 0.8)[0]
                peer.send(late_bytes)
            kind, _, body = peer.answer()
            seconds = time.monotonic() - begun
            assert peer.is_at_end()
        assert (kind, body[:2]) == (ERROR, b"\0\x10")
        assert seconds < IDLE_SECONDS * 1.5  # the fault that this is about doubled it


def test_signals_do_not_make_the_wait_begin_anew() -> None:
    """A server's main thread is interrupted four times a second."""
    with serving("serial", "--idle-timeout", str(IDLE_SECONDS)) as server, server.peer() as peer:
        assert peer.ask(ECHO)
        begun = time.monotonic()
        assert peer.answer()[0] == ERROR
        assert time.monotonic() - begun < IDLE_SECONDS * 1.5


# What the drivers do.


@pytest.mark.parametrize("driver", DRIVERS)
def test_last_words_arrive_although_the_peer_has_sent_more(driver: str) -> None:
    with conversing(driver) as conversations, conversations.peer() as peer:
        peer.send(frame(BYE, 1) + frame(ECHO, 2, bytes(2**20)))
        assert peer.answer() == (BYE + 128, 1, b"")
        assert peer.is_at_end()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_stuck_peer_is_reset(driver: str) -> None:
    with conversing(driver, write_seconds=0.2) as conversations:
        with conversations.peer(receive_bytes=2**16) as peer, pytest.raises(ConnectionError):
            peer.send(frame(ECHO, 1, bytes(2**20)) * 64)
        conversations.wait_until_over()


# Another runtime's waiting.


def test_the_blocking_driver_waits_as_it_is_told(tmp_path: Path) -> None:
    """As greenlets would: a socket that never blocks, and waits of their own."""
    data = content(2**20)
    (tmp_path / "file").write_bytes(data)
    waited: list[str] = []

    def sleep(seconds: float) -> None:
        waited.append("sleep" if seconds else "turn")

    def wait_until(connection: socket.socket, event: int, seconds: float | None) -> None:
        waited.append("read" if event == blocking.READ else "write")
        blocking.wait_until(connection, event, seconds)

    def never_block(connection: socket.socket) -> None:
        connection.setblocking(False)

    waiting = Waiting(sleep, wait_until, never_block, os.sendfile, blocking.start_child)
    service = Service(root=str(tmp_path), timeouts=Timeouts(5, 5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Peer(listener.getsockname()[1], 2**16) as peer:
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
            arguments = (connection, service.session(), waiting)
            serving = Thread(target=blocking.converse, args=arguments)
            serving.start()
            # For a minute, were it not for the sleep of the runtime's own.
            assert peer.ask(WAIT, 1, (60_000_000).to_bytes(4, "big")) == (WAIT + 128, 1, b"")
            for _ in range(2):  # read and hashed, then sent by the kernel
                peer.send(frame(GET, 1, b"file"))
                assert download(peer.answer).data == data
            assert peer.ask(BYE) == (BYE + 128, 0, b"")
            assert peer.is_at_end()
        serving.join()
    assert set(waited) == {"sleep", "turn", "read", "write"}


# What is kept.


@pytest.fixture
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
def test_a_peer_that_was_reset_leaves_no_buffers_to_a_collection() -> None:
    left: list[weakref.ref[asyncio.StreamReader] | weakref.ref[asyncio.StreamWriter]] = []
    service = Service()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left.extend((weakref.ref(reader), weakref.ref(writer)))
        await streams.converse(service, reader, writer)

    async def serve_one_that_resets() -> None:
        loop = asyncio.get_running_loop()
        over: asyncio.Task[None] | None = None
        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        async with server:
            peer = socket.socket()
            peer.setblocking(False)
            await loop.sock_connect(peer, server.sockets[0].getsockname())
            # Until the server is stuck: its answers are not read.
            sending = asyncio.ensure_future(
                loop.sock_sendall(peer, frame(ECHO, 1, bytes(2**23)) * 4)
            )
            await asyncio.wait({sending}, timeout=0.5)
            sending.cancel()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            while len(others := asyncio.all_tasks()) > 1:
                over = next(task for task in others if task is not asyncio.current_task())
                await asyncio.wait({over})
                over = None

    asyncio.run(serve_one_that_resets())
    assert len(left) == 2
    assert [reference() for reference in left] == [None, None]
