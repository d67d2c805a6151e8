"""What the kernel says of datagrams is read right, and a link is what it says it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from bench.measure.datagrams import COUNTED, counters, queue_of
from bench.measure.link import LOOPBACK, Link, LinkError, linked

TABLE = """\
sl local_address rem_address st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode ref pointer drops
1: 0100007F:0FA0 0100007F:ABEC 01 00000000:00000340 00:00000000 00000000 0 0 1 2 000 7
2: 0100007F:0FA0 00000000:0000 07 00000000:00000100 00:00000000 00000000 0 0 2 2 000 3
3: 0100007F:0FA0 00000000:0000 07 00000000:00000010 00:00000000 00000000 0 0 3 2 000 4
4: 0100007F:0FA1 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 4 2 000 9
"""
SNMP = """\
Ip: Forwarding ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates
Ip: 1 12 6 1 5 0 10
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 255 0 0 263 17 2
"""


def test_the_sockets_of_a_server_are_those_at_its_port_without_a_peer() -> None:
    assert queue_of(4_000, TABLE) == (0x110, 7, 2)


def test_the_sums_are_those_of_their_names() -> None:
    assert counters(SNMP) == {
        "RcvbufErrors": 17,
        "SndbufErrors": 2,
        "FragCreates": 10,
        "ReasmReqds": 12,
        "ReasmOKs": 6,
        "ReasmFails": 1,
    }


def test_what_finds_no_room_is_counted_from_the_moment_on() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        since = COUNTED["udp"](os.getpid(), full.getsockname()[1])
        for _ in range(100):
            sender.sendto(b"x" * 1000, full.getsockname())
        counted = since()
        full.setblocking(False)
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while full.recv(2000):
                taken += 1
    assert counted["server_sk_drops"] == 100 - taken > 0
    assert counted["RcvbufErrors"] >= counted["server_sk_drops"]
    assert COUNTED["tcp"](os.getpid(), 1)() == {}


def test_over_loopback_a_server_is_started_as_it_is() -> None:
    with linked("") as link:
        assert link == LOOPBACK == Link((), "")


def test_a_link_takes_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LinkError, match="takes root"), linked("veth"):
        pass


@pytest.mark.skipif(bool(os.geteuid()) or not shutil.which("ip"), reason="it takes root, and ip")
def test_over_a_link_the_mtu_is_1500_and_nothing_of_it_is_left() -> None:
    with linked("veth") as link:
        done = subprocess.run(
            [*link.prefix, "ip", "-o", "link"], capture_output=True, text=True, check=True
        )
        assert "mtu 1500" in done.stdout
        namespace = link.prefix[-1].rpartition("/")[2]
    left = subprocess.run(
        ["ip", "netns", "list"],  # noqa: S607 - wherever this machine has it
        capture_output=True,
        text=True,
        check=True,
    )
    assert namespace not in left.stdout
