"""Many requests at once: what a server holds for a peer that asks for much and reads nothing."""

from __future__ import annotations

import select
import socket
from pathlib import Path

import pytest

from bench.measure import meter
from servers.protocol import COMPUTE, ECHO, HEADER_SIZE, LIST, frame
from tests.abuse import serving
from tests.conftest import DEADLINE_SECONDS, SEVERAL_AT_ONCE, ServerProcess
from tests.rows import ONE_OF_EACH_DRIVER

FILES = 3_000
LISTS = 4_000
TINY = 100_000
COMPUTES = 40
"""Of some 10 ms each."""
MOST_BYTES = 40 * 2**20
"""What a server may hold more than before, of all its processes together. The answers to the LISTs
are 3 GB, each of 0.8 MB."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for number in range(FILES):
        (folder / f"{number:0250}").touch()
    return folder


def peak_bytes(server: ServerProcess) -> int:
    """Return the most that each of the server's processes has ever held, together."""
    peaks = []
    for pid in meter.running(server.pid):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
    return sum(peaks) * 1024


@pytest.mark.parametrize("model", ONE_OF_EACH_DRIVER)
def test_what_is_ready_for_a_peer_that_never_reads_is_bounded(model: str, root: Path) -> None:
    with serving(model, "--root", str(root)) as server:
        with server.peer() as before:
            before.ask(LIST)
            base = peak_bytes(server)
        with server.peer(receive_bytes=2**16) as peer:
            peer.send(frame(LIST, 1) * LISTS)
            # All that there is to send at once is ready when the first byte comes.
            assert select.select([peer.socket], [], [], DEADLINE_SECONDS)[0]
            for tag in range(3):
                kind, its_tag, body = peer.answer()
                assert (kind, its_tag) == (LIST + 128, 1), tag
                assert body.count(b'"name"') == FILES
            assert peak_bytes(server) < base + MOST_BYTES
            peer.reset()
        with server.peer() as after:  # and nobody goes on with what was asked for
            assert after.ask(ECHO, 1, b"well?") == (ECHO + 128, 1, b"well?")


@pytest.mark.parametrize("model", ONE_OF_EACH_DRIVER)
def test_tiny_requests_of_a_peer_that_never_reads_are_not_answered_in_advance(model: str) -> None:
    with serving(model) as server:
        with server.peer() as before:
            before.ask(ECHO)
            base = peak_bytes(server)
        with server.peer(receive_bytes=2**16) as peer:
            peer.send_until_nobody_reads(frame(99, 1) * TINY)
            assert peak_bytes(server) < base + MOST_BYTES
            assert peer.answer()[1] == 1


@pytest.mark.parametrize("model", ONE_OF_EACH_DRIVER)
def test_one_peer_with_many_requests_does_not_keep_the_others_waiting(model: str) -> None:
    if model not in SEVERAL_AT_ONCE:
        pytest.skip("the others wait in any case")
    request = frame(COMPUTE, 1, (200_000).to_bytes(4, "big"))
    with serving(model) as server, server.peer() as greedy, server.peer() as other:
        other.ask(ECHO)
        greedy.send(request * COMPUTES)
        greedy.answer()  # it is being served
        assert other.ask(ECHO, 1, b"now") == (ECHO + 128, 1, b"now")
        select.select([greedy.socket], [], [], DEADLINE_SECONDS)
        arrived = greedy.socket.recv(2**20, socket.MSG_PEEK)
        assert len(arrived) < (COMPUTES - 1) * HEADER_SIZE
        greedy.answers(COMPUTES - 1)
