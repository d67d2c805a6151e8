"""What the fault suite does to servers, and how it looks whether they have come to harm."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.measure import meter
from servers.protocol import ECHO, ERROR, Frame
from tests.conftest import ServerProcess, eventually, workers_of

POOL_SIZE = 2
LIMIT = 2**20
KEPT_BYTES = 8 * 2**20
"""What a process may keep of the memory that a case made it use."""


@contextmanager
def serving(
    model: str,
    *options: str,
    workers: int = POOL_SIZE,
    program: Sequence[str] = ("-m", "servers"),
) -> Iterator[ServerProcess]:
    """Run a server, end it, and look whether it has ended well and complained of no bug."""
    server = ServerProcess(model, *workers_of(model, workers), *options, program=program)
    try:
        yield server
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert server.is_gone()
        assert "Traceback" not in server.complaints()
    finally:
        server.close()


@contextmanager
def unharmed(server: ServerProcess) -> Iterator[None]:
    """Look whether the server is afterwards what it was before."""
    assert eventually(lambda: is_served(server))
    before = rested(server)
    yield
    assert eventually(lambda: is_served(server))

    def is_as_before() -> bool:
        after = meter.footprint(server.pid)
        with_zombies = len(meter.tree(server.pid))
        return (
            (with_zombies, after.processes, after.threads, after.descriptors)
            == (before.processes, before.processes, before.threads, before.descriptors)
        ) and after.pss_bytes <= before.pss_bytes + before.processes * KEPT_BYTES

    assert eventually(is_as_before), (before, meter.footprint(server.pid))


def rested(server: ServerProcess) -> meter.Footprint:
    """Return what the server holds once its last connection is gone."""
    readings = [meter.footprint(server.pid)]

    def is_still() -> bool:
        time.sleep(0.01)  # two readings that are apart, not a wait for something
        readings.append(meter.footprint(server.pid))
        return readings[-1] == readings[-2]

    assert eventually(is_still)
    return readings[-1]


def is_served(server: ServerProcess) -> bool:
    with server.peer() as peer:
        try:
            return peer.ask(ECHO, 1, b"well?") == (ECHO + 128, 1, b"well?")
        except (EOFError, ConnectionError):
            return False


def code_of(answer: Frame) -> int:
    """Return the code of an ERROR frame."""
    kind, _, body = answer
    assert kind == ERROR
    return int.from_bytes(body[:2], "big")


def how_others_fare(server: ServerProcess, is_cut_off: Callable[[], bool]) -> str:
    """Serve another client, and say whether that had to wait for the slow one to be cut off."""
    with server.peer() as another:
        assert another.ask(ECHO, 1) == (ECHO + 128, 1, b"")
        return "others wait" if is_cut_off() else "others served"
