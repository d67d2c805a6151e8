"""Too much for a server, and the ends of servers, workers and those who started them."""

from __future__ import annotations

import os
import resource
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from bench.measure import meter
from servers.catalog import find
from servers.protocol import COMPUTE, ECHO, Connection, frame
from tests.abuse import (
    POOL_SIZE,
    code_of,
    is_served,
    rested,
    serving,
    unharmed,
)
from tests.conftest import (
    DEADLINE_SECONDS,
    ROOT,
    SEVERAL_AT_ONCE,
    Outcome,
    ServerProcess,
    eventually,
    workers_of,
)
from tests.peer import Peer
from tests.rows import NAMES, ONE_OF_EACH_FAMILY

MEBIBYTE = bytes(range(256)) * 4096
EXHAUSTED = "cannot accept for now: Too many open files"
SPIN = 0.5
"""The share of a CPU above which waiting is spinning."""


@pytest.fixture(scope="module")
def shared(model: str) -> Iterator[ServerProcess]:
    with serving(model) as server:
        yield server


def has_said(server: ServerProcess, words: str, times: int) -> Callable[[], bool]:
    return lambda: server.complaints().count(words) == times


# Load.


@pytest.mark.parametrize("model", NAMES)
def test_one_connection_more_than_max_connections(model: str, outcome: Outcome) -> None:
    most = 2 if model in SEVERAL_AT_ONCE else 1
    with serving(model, "--max-connections", str(most), workers=4) as server, unharmed(server):
        for _ in range(2):
            rested(server)  # the last client is forgotten
            with ExitStack() as stack:
                peers = [stack.enter_context(server.peer()) for _ in range(most)]
                for tag, peer in enumerate(peers):
                    assert peer.ask(ECHO, tag) == (ECHO + 128, tag, b"")
                outcome(fate_of_one_more(server, peers[0]))
            assert eventually(lambda: is_served(server))  # there is room again


def fate_of_one_more(server: ServerProcess, other: Peer) -> str:
    with server.peer() as one_more:
        if find(server.model).when_full == "busy":
            code = code_of(one_more.answer())
            assert one_more.is_at_end()
            assert eventually(lambda: "refused" in server.complaints())
            # Once in an episode, by each who accepts and so refuses.
            assert server.complaints().count("refused") <= len(who_accepts(server))
            return f"error {code}, end"
        one_more.send(frame(ECHO, 9))
        for tag in range(100):
            assert other.ask(ECHO, tag) == (ECHO + 128, tag, b"")
        one_more.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            one_more.socket.recv(1)
        one_more.socket.settimeout(DEADLINE_SECONDS)
        other.socket.close()
        assert one_more.answer() == (ECHO + 128, 9, b"")
        return "waits in the backlog"


def test_a_request_sent_with_the_connection_does_not_hide_that_it_is_refused(
    model: str, outcome: Outcome
) -> None:
    if find(model).when_full == "backlog":
        pytest.skip("nobody is refused")
    with serving(model, "--max-connections", "1") as server, server.peer() as first:
        first.ask(ECHO)
        for _ in range(100):  # more than are waited for at a time
            with server.peer() as peer, suppress(ConnectionError):
                peer.send(frame(ECHO, 1, bytes(100_000)))
                assert code_of(peer.answer()) == 15
        first.socket.close()
        assert eventually(lambda: is_served(server))
    outcome("error 15, end")


@pytest.mark.quiet
def test_no_descriptors_left(model: str, outcome: Outcome) -> None:
    with serving(model) as server, unharmed(server):
        accepting = who_accepts(server)
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in accepting}
        for episode in (1, 2):
            for pid, (_, hard) in limits.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free(pid), hard))
            with ExitStack() as stack:
                # So many that each has some, also where they are dealt out.
                peers = [stack.enter_context(server.peer()) for _ in range(4 * len(accepting))]
                for tag, peer in enumerate(peers):
                    peer.send(frame(ECHO, tag))
                assert eventually(partial(has_run_out, server, peers, len(accepting)))
                assert cpu_share(server.pid, 0.3) < SPIN
                for pid, limit in limits.items():
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
                for peer in peers:
                    assert peer.answer()[0] == ECHO + 128
                    peer.socket.close()
            assert has_said(server, EXHAUSTED, len(accepting))(), episode
    outcome(f"waits in the backlog, said once{'' if len(accepting) == 1 else ' by each worker'}")


def who_accepts(server: ServerProcess) -> list[int]:
    """Return the children that have the listening socket, or the server if none has."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening, port = "0A", f":{server.port:04X}"
    inodes = [each[9] for each in lines if each[3] == listening and each[1].endswith(port)]
    names = {f"socket:[{inode}]" for inode in inodes}
    return [
        pid
        for pid in server.children()
        if names & {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    ] or [server.pid]


def first_free(pid: int) -> int:
    """Return the number of the next descriptor that a process will open."""
    in_use = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in count() if number not in in_use)


def has_run_out(server: ServerProcess, peers: list[Peer], times: int) -> bool:
    """Whether all have said that they cannot accept; the peers who are answered leave.

    An accept() that was under way had reserved a descriptor for one, and is to be called once more.
    """
    by_socket = {peer.socket: peer for peer in peers}
    for sock in select.select(list(by_socket), [], [], 0)[0]:
        peers.remove(by_socket[sock])
        sock.close()
    return has_said(server, EXHAUSTED, times)()


def cpu_share(pid: int, seconds: float) -> float:
    """Return the share of a CPU that a process uses over some time."""
    before = meter.settle(pid).cpu_ns
    began = time.monotonic()
    time.sleep(seconds)  # the span that is measured
    return (meter.settle(pid).cpu_ns - before) / 1e9 / (time.monotonic() - began)


UNABLE = """
import os, sys, _thread
from pathlib import Path

switch = Path(sys.argv.pop(1))

def unless_switched_off(real, error):
    def call(*arguments, **keywords):
        if switch.exists():
            raise error
        return real(*arguments, **keywords)
    return call

os.fork = unless_switched_off(os.fork, BlockingIOError(11, "Resource temporarily unavailable"))
_thread.start_new_thread = unless_switched_off(
    _thread.start_new_thread, RuntimeError("can't start new thread")
)
from servers.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A server whose process can start neither processes nor threads while a file exists."""


def test_no_further_thread_or_process_can_start(
    model: str, outcome: Outcome, tmp_path: Path
) -> None:
    switch = tmp_path / "switch"
    with serving(model, program=("-c", UNABLE, str(switch))) as server, unharmed(server):
        switch.touch()
        fates = set()
        for _ in range(3):
            with server.peer() as peer:
                answer = peer.ask(ECHO)
                served = answer[0] == ECHO + 128
                fates.add("answered" if served else f"error {code_of(answer)}, end")
        switch.unlink()
        [fate] = fates
        assert server.complaints().count("can start") == (fate != "answered")
    outcome(fate)


# Ends.


def test_a_stop_with_connections_in_the_backlog(model: str, outcome: Outcome) -> None:
    with (
        serving(model, "--grace", "10") as server,
        server.peer() as accepted,
        ExitStack() as stack,
    ):
        accepted.ask(ECHO)
        server.signal_all(signal.SIGSTOP)
        accepted.send(frame(ECHO, 1) * 3)
        others = [stack.enter_context(server.peer()) for _ in range(20)]
        for peer in others:
            peer.send(frame(ECHO, 2) * 3)
        server.signal(signal.SIGTERM)
        server.signal_all(signal.SIGCONT)
        assert accepted.rest() == frame(ECHO + 128, 1) * 3
        assert {what_became_of(peer) for peer in others} <= {frame(ECHO + 128, 2) * 3, "reset"}
    outcome("all that was sent is answered, or reset if not accepted")


def what_became_of(peer: Peer) -> bytes | str:
    """Return all that a peer gets up to a clean end, or "reset"."""
    try:
        return peer.rest()
    except ConnectionError:
        return "reset"


def test_a_stop_under_load(model: str, outcome: Outcome) -> None:
    """64 peers have sent big frames: some read at once, some late, some when all is over."""
    with serving(model) as server, ExitStack() as stack:
        sockets = [stack.enter_context(server.peer()).socket for _ in range(64)]
        request = frame(ECHO, 1, MEBIBYTE[: 2**18])
        for sock in sockets:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    if sock.send(request) < len(request):
                        break
        quick, late, last = sockets[0::3], sockets[1::3], sockets[2::3]
        read = dict.fromkeys(sockets, b"")
        ends: set[str] = set()
        server.signal(signal.SIGTERM)
        ends |= read_to_the_end(quick, read)
        ends |= read_to_the_end(late, read)
        assert server.exit_code() == 0
        ends |= read_to_the_end(last, read)
    assert ends <= {"between frames", "reset"}
    outcome("whole frames or reset")


def read_to_the_end(sockets: list[socket.socket], read: dict[socket.socket, bytes]) -> set[str]:
    """Read everything on all of them, and say how each connection ended."""
    ends = set()
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ, sock)
        while selector.get_map():
            ready = selector.select(DEADLINE_SECONDS)
            assert ready
            for key, _ in ready:
                sock = key.data
                try:
                    data = sock.recv(2**18)
                except ConnectionError:
                    ends.add("reset")
                    selector.unregister(sock)
                    continue
                read[sock] += data
                if not data:
                    ends.add(end_of(read.pop(sock)))
                    selector.unregister(sock)
    return ends


def end_of(answers: bytes) -> str:
    """Say where a stream of answers ends."""
    framing = Connection()
    framing.receive(answers)
    whole = framing.receive(frame(0, 0)) == [(0, 0, b"")]
    return "between frames" if whole else "in mid-frame"


def descendants(pid: int) -> list[int]:
    """Return a process and all that it and its children have started, in whatever session."""
    found = [pid]
    for each in found:
        for tasks in Path(f"/proc/{each}/task").glob("*"):
            found += map(int, read(tasks / "children").split())
    return found


def read(path: Path) -> bytes:
    """Return what is in a file of /proc: nothing once its process has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_bytes()
    return b""


def run(pids: list[int]) -> list[int]:
    """Return which of these processes still run; a zombie does not."""
    return [pid for pid in pids if pid in meter.running(pid)]


def idle(peer: Peer) -> None:
    peer.ask(ECHO)


def computing(peer: Peer) -> None:
    peer.ask(ECHO)
    # One after another, so that no machine would be done before the test gives up.
    peer.send(frame(COMPUTE, 1, (10**8).to_bytes(4, "big")) * 50)


def sending(peer: Peer) -> None:
    peer.send_until_nobody_reads(frame(ECHO, 1, MEBIBYTE))


@pytest.mark.parametrize("busy", [idle, computing, sending], ids=lambda busy: busy.__name__)
def test_the_server_itself_is_killed(
    model: str, busy: Callable[[Peer], None], outcome: Outcome
) -> None:
    """It runs as by hand: in the terminal's group, without --watch-stdin."""
    server = ServerProcess(model, *workers_of(model, POOL_SIZE), by_hand=True)
    try:
        with server.peer() as peer:
            busy(peer)
            pids = descendants(server.pid)
            server.signal(signal.SIGKILL)
            assert eventually(lambda: not run(pids))
    finally:
        server.close()
    outcome("nothing is left")


@pytest.mark.parametrize("model", ONE_OF_EACH_FAMILY)
def test_the_bench_is_killed_in_a_trial(model: str, outcome: Outcome, tmp_path: Path) -> None:
    options = f"--profile quick --models {model} --scenarios echo --blocks 1 --window 60"
    bench = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", *options.split(), "--results", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert eventually(lambda: is_loaded(bench.pid))
        pids = descendants(bench.pid)
        bench.kill()
        bench.wait()
        assert eventually(lambda: not run(pids))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bench.pid, signal.SIGKILL)
        bench.wait()
    outcome("nothing is left")


def is_loaded(pid: int) -> bool:
    """Whether a bench has a generator and a server, and the server works."""
    commands = {each: read(Path(f"/proc/{each}/cmdline")) for each in descendants(pid)}
    servers = [each for each, command in commands.items() if b"\0servers\0" in command]
    generators = [each for each, command in commands.items() if b"clients.engine.agent" in command]
    return bool(servers and generators) and meter.settle(servers[0]).cpu_ns > 2 * 10**8
