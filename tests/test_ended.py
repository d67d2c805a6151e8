"""A process's end as a descriptor, also where the interpreter has no call for it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable

import pytest

from servers.drivers.ended import ask_for_pidfd, open_pidfd


@pytest.mark.parametrize("open_one", [open_pidfd, ask_for_pidfd])
def test_it_can_be_read_from_once_the_process_has_ended_and_not_before(
    open_one: Callable[[int], int],
) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        descriptor = open_one(process.pid)
        try:
            assert not select.select([descriptor], [], [], 0)[0]
            assert not os.get_inheritable(descriptor)
            assert process.stdin is not None
            process.stdin.close()
            assert select.select([descriptor], [], [], 15)[0]
        finally:
            os.close(descriptor)


@pytest.mark.parametrize("open_one", [open_pidfd, ask_for_pidfd])
def test_a_process_that_has_been_reaped_is_not_found(open_one: Callable[[int], int]) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        open_one(process.pid)


def test_an_interpreter_without_the_call_asks_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    descriptor = open_pidfd(os.getpid())
    os.close(descriptor)
