"""HOST:PORT on a command line."""

from __future__ import annotations

import pytest

from clients import address


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("127.0.0.1:4000", "127.0.0.1", 4000),
        ("localhost:1", "localhost", 1),
        ("[::1]:65535", "::1", 65_535),
        ("[fe80::1%eth0]:4000", "fe80::1%eth0", 4000),
    ],
)
def test_a_target_is_a_host_and_a_port(target: str, host: str, port: int) -> None:
    assert address.split(target) == (host, port)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere", "not of the form HOST:PORT"),
        (":4000", "not of the form HOST:PORT"),
        ("host:", "not of the form HOST:PORT"),
        ("host:-1", "not of the form HOST:PORT"),
        ("host:٣", "not of the form HOST:PORT"),
        ("host:0", "port must be 1 to 65535"),
        ("host:65536", "port must be 1 to 65535"),
        (f"host:{'9' * 5000}", "port must be 1 to 65535"),
        ("::1:4000", r"must stand in brackets, as in \[::1\]:4000"),
        ("[::1:4000", "must stand in brackets"),
    ],
)
def test_what_is_no_target_is_refused_with_a_reason(target: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        address.split(target)
    assert len(str(caught.value)) < 120
