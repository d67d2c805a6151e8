"""The count of connections over processes: never over the most, and nothing lost with the dead."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack

from servers.life.together import Together


def in_a_child(work: Callable[[], int]) -> int:
    """Return what `work` gives in a process forked for it."""
    pid = os.fork()
    if not pid:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def let_in(together: Together, stack: ExitStack, times: int) -> int:
    """Return how many of so many connections are let in; they stay open."""
    letting = (together.let_in(stack.enter_context(socket.socket())) for _ in range(times))
    return len([stack.enter_context(admitted) for admitted in letting if admitted])


def test_two_processes_let_in_no_more_than_the_most_together() -> None:
    together = Together(3, 2)
    with ExitStack() as stack:
        assert let_in(together, stack, 2) == 2

        def other() -> int:
            together.begin(1)
            with ExitStack() as others:
                return let_in(together, others, 2)

        assert in_a_child(other) == 1


def test_processes_at_the_same_time_let_in_no_more_than_the_most() -> None:
    processes, most = 4, 50
    together = Together(most, processes)
    reading, writing = os.pipe()

    def work(place: int) -> None:
        together.begin(place)
        with ExitStack() as stack:
            os.write(writing, bytes([let_in(together, stack, most)]))
            signal.pause()

    pids = []
    for place in range(processes):
        pids.append(os.fork())
        if not pids[-1]:
            work(place)
            os._exit(1)
    try:
        assert sum(os.read(reading, 1)[0] for _ in pids) == most
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def test_a_connection_leaves_once_however_often_it_is_closed() -> None:
    together = Together(2, 1)
    with ExitStack() as stack:
        first = together.let_in(stack.enter_context(socket.socket()))
        assert first
        assert let_in(together, stack, 2) == 1
        os.close(first.detach())
        first.close()
        assert let_in(together, stack, 2) == 1


def test_those_of_a_process_that_was_killed_are_forgotten() -> None:
    together = Together(1, 2)

    def die() -> int:
        together.begin(1)
        together.let_in(socket.socket())
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert in_a_child(die) == -signal.SIGKILL
    with ExitStack() as stack:
        assert let_in(together, stack, 1) == 0
        together.clear(1)
        assert let_in(together, stack, 1) == 1
