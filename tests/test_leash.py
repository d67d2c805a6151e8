"""What is on a leash ends with all of its group: when let go, and when its holder is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

from servers.life.leash import Leash
from tests.conftest import eventually

GROUP = "sleep 1000 & echo $!; wait"


def start(leash: Leash) -> list[int]:
    """Start a group of two on a leash, and return their process ids."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["/bin/sh", "-c", GROUP],
        stdout=writing,
        pass_fds=[leash.fileno()],
        start_new_session=True,
    )
    process.returncode = 0  # whether it has ended is asked in another way
    leash.hold(process.pid)
    follower = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    return [process.pid, follower]


def has_ended(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            return bool(select.select([descriptor], [], [], 0)[0])
        finally:
            os.close(descriptor)
    return True


def in_a_child(work: Callable[[], None]) -> int:
    """Do work in a child just forked, which then lives until it is killed; return its id."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        work()
        os.write(writing, b".")
        signal.pause()
        os._exit(1)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_is_let_go_is_killed_though_another_process_has_the_leash_too() -> None:
    leash = Leash()
    leader, follower = start(leash)
    copy = in_a_child(lambda: None)
    try:
        assert not has_ended(leader)
        leash.let_go()
        assert os.waitpid(leader, 0)[1] == signal.SIGKILL
        assert eventually(lambda: has_ended(follower))
        leash.let_go()
    finally:
        kill(copy)


def test_what_a_process_holds_is_killed_when_that_process_is() -> None:
    reading, writing = os.pipe()

    def hold() -> None:
        os.write(writing, b" ".join(b"%d" % pid for pid in start(Leash())))

    holder = in_a_child(hold)
    pids = [int(pid) for pid in os.read(reading, 100).split()]
    assert not any(has_ended(pid) for pid in pids)
    kill(holder)
    assert eventually(lambda: all(has_ended(pid) for pid in pids))
    os.close(reading)
    os.close(writing)


def test_a_group_that_has_ended_already_is_no_error() -> None:
    leash = Leash()
    process = subprocess.Popen(["/bin/true"], start_new_session=True)
    process.wait()
    leash.hold(process.pid)
    leash.let_go()
