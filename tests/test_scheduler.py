"""The scheduler of the coroutine model: turns, timers, and sockets that stay registered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic

import pytest

from servers.drivers.scheduler import Scheduler, Task, readable, send_all, sleep, writable


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that never block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_tasks_take_turns(scheduler: Scheduler) -> None:
    order: list[str] = []

    def task(name: str) -> Task:
        for _ in range(3):
            order.append(name)
            yield from sleep(0)

    for name in "abc":
        scheduler.spawn(task(name))
    scheduler.run()
    assert order == list("abcabcabc")


def test_a_socket_that_is_always_ready_does_not_keep_the_others_waiting(
    scheduler: Scheduler, pair: tuple[socket.socket, socket.socket]
) -> None:
    order: list[str] = []

    def busy() -> Task:
        for _ in range(3):
            yield from writable(pair[0])
            order.append("busy")

    def other() -> Task:
        for _ in range(3):
            yield from sleep(0)
            order.append("other")

    scheduler.spawn(busy())
    scheduler.spawn(other())
    scheduler.run()
    assert sorted(order[:4]) == ["busy", "busy", "other", "other"]


def test_sleepers_wake_in_the_order_of_their_times_and_not_too_early(
    scheduler: Scheduler,
) -> None:
    woken: list[float] = []

    def sleeper(seconds: float) -> Task:
        began = monotonic()
        yield from sleep(seconds)
        assert monotonic() - began >= seconds
        woken.append(seconds)

    for seconds in (0.03, 0.01, 0.02, 0):
        scheduler.spawn(sleeper(seconds))
    scheduler.run()
    assert woken == [0, 0.01, 0.02, 0.03]


def test_a_task_may_spawn_another(scheduler: Scheduler) -> None:
    order: list[str] = []

    def parent() -> Task:
        scheduler.spawn(child())
        order.append("parent")
        yield from sleep(0)

    def child() -> Task:
        order.append("child")
        yield from sleep(0)

    scheduler.spawn(parent())
    scheduler.run()
    assert order == ["parent", "child"]


def test_all_is_sent_though_the_kernel_takes_only_a_part(
    scheduler: Scheduler, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    data = bytes(range(256)) * 10_000
    received = bytearray()

    def sender() -> Task:
        yield from send_all(left, data)
        scheduler.close(left)

    def receiver() -> Task:
        while True:
            yield from readable(right)
            if not (piece := right.recv(65_536)):
                break
            received.extend(piece)
        scheduler.close(right)

    scheduler.spawn(sender())
    scheduler.spawn(receiver())
    scheduler.run()
    assert received == data


def test_a_task_that_fails_is_told_and_the_others_go_on(
    scheduler: Scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[bool] = []

    def failing() -> Task:
        yield from sleep(0)
        raise ValueError("in a task")

    def going_on() -> Task:
        yield from sleep(0.01)
        done.append(True)

    scheduler.spawn(failing())
    scheduler.spawn(going_on())
    scheduler.run()
    assert done == [True]
    assert "ValueError: in a task" in capsys.readouterr().err


class Recorder:
    """Passes calls on and remembers their names."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        return getattr(self._inner, name)


def test_a_socket_is_registered_once_for_many_waits(
    scheduler: Scheduler,
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left, right = pair
    epoll = Recorder(scheduler._epoll)
    monkeypatch.setattr(scheduler, "_epoll", epoll)

    def task() -> Task:
        for _ in range(10):
            left.send(b"x")
            yield from readable(right)
            right.recv(1)
        scheduler.close(right)

    scheduler.spawn(task())
    scheduler.run()
    assert [name for name in epoll.calls if name not in {"poll", "close"}] == [
        "register",
        "unregister",
    ]


def test_a_socket_that_is_ready_while_its_task_sleeps_does_not_spin(
    scheduler: Scheduler,
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left, right = pair
    epoll = Recorder(scheduler._epoll)
    monkeypatch.setattr(scheduler, "_epoll", epoll)
    received: list[bytes] = []

    def task() -> Task:
        left.send(b"1")
        yield from readable(right)
        left.send(b"2")
        yield from sleep(0.05)
        yield from readable(right)
        received.append(right.recv(2))
        scheduler.close(right)

    scheduler.spawn(task())
    scheduler.run()
    assert received == [b"12"]
    assert epoll.calls.count("poll") < 10


def test_a_descriptor_used_again_is_registered_again(scheduler: Scheduler) -> None:
    received: list[bytes] = []

    def task() -> Task:
        for number in range(3):
            left, right = socket.socketpair()
            with left:
                left.send(b"%d" % number)
                yield from readable(right)
                received.append(right.recv(1))
                scheduler.close(right)

    scheduler.spawn(task())
    scheduler.run()
    assert received == [b"0", b"1", b"2"]


def test_a_cancelled_timer_does_nothing(scheduler: Scheduler) -> None:
    fired: list[str] = []

    def task() -> Task:
        cancelled = scheduler.call_later(0.001, lambda: fired.append("cancelled"))
        kept = scheduler.call_later(0.002, lambda: fired.append("kept"))
        cancelled.cancel()
        yield from sleep(0.01)
        assert cancelled.done
        assert kept.done

    scheduler.spawn(task())
    scheduler.run()
    assert fired == ["kept"]


def test_a_timer_keeps_nothing_running(scheduler: Scheduler) -> None:
    fired: list[str] = []
    timer = scheduler.call_later(0.2, lambda: fired.append("fired"))
    scheduler.run()
    assert fired == []
    assert not timer.done
