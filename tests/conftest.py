"""Fixtures shared by all tests: real server processes, ended and looked after."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from bench.measure import meter
from bench.measure.launch import import_path
from servers.catalog import find
from tests import conversations
from tests.outcomes import Ledger
from tests.peer import Peer
from tests.rows import ONE_OF_EACH_FILE, RUNNABLE

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 15.0
GRACE = "0.2"
"""What is left of a conversation that a test does not end is of no interest to it."""
SERVER_PYTHON = os.environ.get("THREADMILL_SERVER_PYTHON", sys.executable)
"""What the servers of the suite run under: a contract that any interpreter must pass."""
SEVERAL_AT_ONCE = [model.name for model in RUNNABLE if model.serves in {"workers", "many"}]
"""Those that surely serve a second connection while the first one is open."""

# No test asserts a time, and on a shared machine an example takes what it takes.
hypothesis.settings.register_profile("threadmill", deadline=None)
hypothesis.settings.load_profile("threadmill")


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether `condition` comes true before the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class ServerProcess:
    """A server in a session of its own, as bench starts it.

    `stderr` is a descriptor for its standard error; those of `closed` are closed when it starts.
    """

    def __init__(
        self,
        model: str,
        *arguments: str,
        program: Sequence[str] = ("-m", "servers"),
        by_hand: bool = False,
        stderr: int | None = None,
        closed: Sequence[int] = (),
    ) -> None:
        self.model = model
        watch = [] if by_hand else ["--watch-stdin"]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        self.process = subprocess.Popen(
            [SERVER_PYTHON, "-S", *program, model, *watch, "--grace", GRACE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr if stderr is None else stderr,
            env=environment_of(model),
            start_new_session=True,
            preexec_fn=partial(close_all, closed) if closed else None,
        )
        self.pid = self.process.pid
        try:
            self.ready = json.loads(self._first_line())
        except BaseException:
            self.close()
            raise
        self.port: int = self.ready["port"]

    def _first_line(self) -> bytes:
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], DEADLINE_SECONDS)[0]
        return self.process.stdout.readline()

    def peer(self, receive_bytes: int = 0) -> Peer:
        """Return a new connection to it; `receive_bytes` bounds what it takes unread."""
        return Peer(self.port, receive_bytes)

    def signal(self, number: int) -> None:
        """Send a signal to the server itself."""
        self.process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """Send a signal to the whole process group."""
        os.killpg(self.pid, number)

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(DEADLINE_SECONDS)

    def children(self) -> list[int]:
        """Return the process ids of its children that run, but for multiprocessing's own."""
        pids = meter.running(self.pid)
        tracker, forkserver = (
            f"multiprocessing.{each}" for each in ("resource_tracker", "forkserver")
        )
        commands = {pid: command_of(pid) for pid in pids}
        forked = {pid for pid in pids if parent_of(pid) != self.pid}  # from the forkserver
        return [
            pid
            for pid, command in commands.items()
            if pid != self.pid
            and tracker not in command
            and (forkserver not in command or pid in forked)
        ]

    def is_gone(self) -> bool:
        """Wait until nothing of its session runs."""
        return eventually(lambda: not meter.running(self.pid))

    def complaints(self) -> str:
        """Return what it has written to its standard error."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def close(self) -> None:
        """End what is left of it, by force."""
        with suppress(ProcessLookupError):
            self.signal_all(signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            assert stream
            stream.close()


def command_of(pid: int) -> str:
    """Return a process's command line; nothing when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def parent_of(pid: int) -> int:
    """Return the process id of a process's parent; 0 when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def environment_of(model: str) -> dict[str, str]:
    """Return the environment in which a server finds what its model needs."""
    return {**os.environ, "PYTHONPATH": import_path(find(model), ROOT)}


def close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def workers_of(model: str, number: int) -> list[str]:
    """Return the options that give a model so many workers, if it has any."""
    return ["--workers", str(number)] if find(model).workers else []


StartServer = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """Return a function that starts a server: a model's name and further arguments."""
    started: list[ServerProcess] = []

    def start(model: str, *arguments: str) -> ServerProcess:
        server = ServerProcess(model, *arguments)
        started.append(server)
        return server

    yield start
    try:
        for server in started:
            server.signal(signal.SIGTERM)
        codes = {server.exit_code() for server in started}
        assert all(server.is_gone() for server in started)
        assert codes <= {0, -signal.SIGIO}
        assert [complaint for server in started if (complaint := server.complaints())] == []
    finally:
        for server in started:
            server.close()


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """What the fault suite sees happen, and what docs/faults.md says of it."""
    ledger = Ledger()
    yield ledger
    ledger.close()


@pytest.fixture(scope="module", params=ONE_OF_EACH_FILE)
def model(request: pytest.FixtureRequest) -> str:
    """A model of each file in turn, of those that can run here."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=conversations.RUNNABLE)
def driver(request: pytest.FixtureRequest) -> str:
    """Each driver in turn."""
    name: str = request.param
    return name


Outcome = Callable[[str], None]


@pytest.fixture
def outcome(request: pytest.FixtureRequest, ledger: Ledger) -> Outcome:
    """Return a function that says what the case has come to, with this model or driver."""
    test = request.function
    kind = "model" if "model" in request.fixturenames else "driver"
    who: str = request.getfixturevalue(kind)
    variant = request.node.callspec.id.replace(who, "").strip("-")
    case = test.__name__.removeprefix("test_").replace("_", " ")
    place = (test.__module__, test.__code__.co_firstlineno)
    return partial(ledger.record, place, f"{case}: {variant}" if variant else case, who)
