"""Workers that die, that cannot start, and that do not live: what becomes of the peers."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bench.measure import meter
from bench.measure.launch import import_path
from servers.catalog import MODELS, find
from servers.protocol import COMPUTE, ECHO, frame
from tests.abuse import code_of, is_served, serving, unharmed
from tests.conftest import (
    DEADLINE_SECONDS,
    ROOT,
    SEVERAL_AT_ONCE,
    Outcome,
    ServerProcess,
    eventually,
)
from tests.peer import Peer
from tests.test_faults_ends import UNABLE, first_free

LOOKS = 5
WAITED_SECONDS = 2.0
"""After which nobody answers any more; a peer that is served has its answer at once."""


@pytest.fixture(scope="module")
def shared(model: str) -> Iterator[ServerProcess]:
    with serving(model) as server:
        yield server


def test_a_worker_killed_in_mid_request(model: str, outcome: Outcome) -> None:
    with serving(model) as server, unharmed(server), ExitStack() as stack:
        victim = stack.enter_context(server.peer())
        victim.ask(ECHO)
        if not server.children():
            pytest.skip("there are no worker processes")
        other = None
        if model in SEVERAL_AT_ONCE:
            other = stack.enter_context(server.peer())
            other.ask(ECHO)
        workers = set(server.children())
        victim.send(frame(COMPUTE, 1, (10**8).to_bytes(4, "big")))
        worker = busiest(server)
        os.kill(worker, signal.SIGKILL)
        with suppress(ConnectionError):
            assert victim.is_at_end()
        assert eventually(lambda: worker not in {each.pid for each in meter.tree(server.pid)})
        outcome(fate_of_the_others(server, other, workers - {worker}))


def fate_of_the_others(server: ServerProcess, other: Peer | None, left: set[int]) -> str:
    """Say what has become of another connection and of the workers that were `left`."""
    row = find(server.model)
    is_one_of_many = bool(row.workers) and row.serves == "many"  # in its process
    fate = "the connections of its process end" if is_one_of_many else "its own connection ends"
    try:
        if other:
            assert other.ask(ECHO, 2) == (ECHO + 128, 2, b"")
    except (EOFError, ConnectionError):
        if not is_one_of_many:
            fate = "the pool's connections end"
        assert eventually(lambda: is_served(server))
        assert bool(left & set(server.children())) == is_one_of_many
    if not row.workers:
        return fate
    assert eventually(lambda: len(server.children()) == len(left) + 1)
    return f"{fate}, rebuilt"


def busiest(server: ServerProcess) -> int:
    """Return the child that computes, once one does: others run for a moment only."""
    running: list[set[int]] = []

    def is_found() -> bool:
        running.append({each.pid for each in meter.tree(server.pid) if each.state == "R"})
        return len(running) > LOOKS and bool(set.intersection(*running[-LOOKS:]) - {server.pid})

    assert eventually(is_found)
    return next(pid for pid in set.intersection(*running[-LOOKS:]) if pid != server.pid)


def test_children_that_have_ended_are_no_zombies(shared: ServerProcess, outcome: Outcome) -> None:
    if shared.children():
        pytest.skip("its children live as long as it does")
    with unharmed(shared), ExitStack() as stack:
        stack.enter_context(shared.peer()).ask(ECHO)
        if not shared.children():
            pytest.skip("it has no children")
        for peer in [stack.enter_context(shared.peer()) for _ in range(19)]:
            peer.ask(ECHO)
        assert len(shared.children()) == 20
    assert [each.pid for each in meter.tree(shared.pid)] == [shared.pid]
    outcome("none")


DOOMED = """
import os, signal, sys
from pathlib import Path

switch = Path(sys.argv.pop(1))
fork = os.fork

def fork_and_kill():
    pid = fork()
    if not pid and switch.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return pid

os.fork = fork_and_kill
from servers.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A server whose children are killed as soon as they start, while a file exists."""


def test_workers_that_are_killed_as_soon_as_they_start(
    model: str, outcome: Outcome, tmp_path: Path
) -> None:
    switch = tmp_path / "switch"
    with serving(model, program=("-c", DOOMED, str(switch))) as server, unharmed(server):
        switch.touch()
        workers = server.children()
        for pid in workers:
            with suppress(ProcessLookupError):  # a pool gives up the others when one is killed
                os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not {*workers} & {*server.children()})
        fates = set()
        for _ in range(3):
            with server.peer() as peer:
                fates.add(what_is_answered(peer))
        switch.unlink()
        [fate] = fates
    outcome(fate)


def what_is_answered(peer: Peer) -> str:
    """Ask, and say what has come of it soon."""
    peer.send(frame(ECHO, 1))
    if not select.select([peer.socket], [], [], WAITED_SECONDS)[0]:
        return "waits in the backlog"
    try:
        answer = peer.answer()
    except (EOFError, ConnectionError):
        return "the connection ends"
    return "answered" if answer[0] == ECHO + 128 else f"error {code_of(answer)}, end"


HANDED_CONNECTIONS = [model.name for model in MODELS if model.module == "process_pool"]

CROWDED = """
import errno, os, socket, sys
from pathlib import Path

switch = Path(sys.argv.pop(1))
send_fds = socket.send_fds

def send_unless_crowded(*arguments):
    if switch.exists():
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))
    return send_fds(*arguments)

socket.send_fds = send_unless_crowded
from servers.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A server that can send no descriptor to another process while a file exists.

So says the kernel to a user without privileges who has as many of them on their way as the limit
allows to have open.
"""


@pytest.mark.parametrize("model", HANDED_CONNECTIONS)
def test_too_many_descriptors_on_their_way(model: str, outcome: Outcome, tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    with (
        serving(model, program=("-c", CROWDED, str(switch))) as server,
        unharmed(server),
        server.peer() as first,
    ):
        assert first.ask(ECHO, 1) == (ECHO + 128, 1, b"")
        switch.touch()
        with server.peer() as second:
            second.send(frame(ECHO, 2))
            for tag in range(100):
                assert first.ask(ECHO, tag) == (ECHO + 128, tag, b"")
            first.socket.close()
            waits = not select.select([second.socket], [], [], WAITED_SECONDS)[0]
            switch.unlink()
            assert second.answer() == (ECHO + 128, 2, b"")
    outcome("waits" if waits else "answered")


WITH_PROCESSES = [
    model.name for model in MODELS if model.workers and model.family in {"processes", "hybrid"}
]


@pytest.mark.parametrize("name", WITH_PROCESSES)
def test_workers_that_cannot_start_at_first_are_a_sentence_and_an_exit_code(
    name: str, tmp_path: Path
) -> None:
    switch = tmp_path / "switch"
    switch.touch()
    done = subprocess.run(
        [sys.executable, "-S", "-c", UNABLE, str(switch), name],
        env={**os.environ, "PYTHONPATH": import_path(find(name), ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.stderr.startswith("Cannot start ")
    assert done.stderr.count("\n") == 1
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("name", HANDED_CONNECTIONS)
def test_a_worker_that_has_no_descriptor_left_leaves_the_connection_on_its_way(name: str) -> None:
    with serving(name) as server, unharmed(server):
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in server.children()}
        for pid, (_, hard) in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free(pid), hard))
        with server.peer() as peer:
            peer.send(frame(ECHO, 1))
            said = "cannot take a connection for now: Too many open files"
            assert eventually(lambda: said in server.complaints())
            for pid, limit in limits.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
            assert peer.answer() == (ECHO + 128, 1, b"")
