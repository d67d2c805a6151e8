"""The probe, on a listener of the test's own."""

from __future__ import annotations

import socket
import threading

import pytest

from clients.__main__ import _be_served
from clients.load import AimedLoad
from clients.probe import Probe


class Ending:
    """Serves one connection: reads it to its end, notes that, and closes it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.has_seen_the_end = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self.listener, self.listener.accept()[0] as connection:
            while connection.recv(1):
                pass
            self.has_seen_the_end = True

    def join(self) -> None:
        self._thread.join()


def test_a_probe_that_has_ended_was_read_to_its_end() -> None:
    server = Ending()
    with Probe("127.0.0.1", server.port) as probe:
        probe.end()
        assert server.has_seen_the_end
    server.join()


def test_a_server_under_a_load_by_hand_has_served_before() -> None:
    server = Ending()
    _be_served(AimedLoad(host="127.0.0.1", port=server.port))
    assert server.has_seen_the_end
    server.join()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_server_that_is_not_there_is_left_to_the_load_to_tell(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    _be_served(AimedLoad(host="127.0.0.1", port=port, transport=transport))
