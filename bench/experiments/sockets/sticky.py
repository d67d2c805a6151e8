"""sticky: what becomes of 100 small messages on a stream, without and with a header."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, at_least, exactly
from bench.experiments.sockets.ends import pair

MESSAGES = [b"%020d" % number for number in range(100)]
LENGTH = struct.Struct("!I")


def plain(sender: socket.socket, receiver: socket.socket) -> list[bytes]:
    """Send each message as it is; take what each receive gives for a message."""
    for message in MESSAGES:
        sender.sendall(message)
    sender.close()
    return list(iter(lambda: receiver.recv(1024), b""))


def headed(sender: socket.socket, receiver: socket.socket) -> list[bytes]:
    """Send each message behind its length; receive so much, whatever each receive gives."""
    for message in MESSAGES:
        sender.sendall(LENGTH.pack(len(message)) + message)
    sender.close()
    found = []
    with receiver.makefile("rb") as stream:
        while header := stream.read(LENGTH.size):
            found.append(stream.read(*LENGTH.unpack(header)))
    return found


WAYS: dict[str, Callable[[socket.socket, socket.socket], list[bytes]]] = {
    "as they are": plain,
    "behind their length": headed,
}


def measure(lab: Lab) -> None:
    """Send the messages in both ways, and count what came out."""
    for way, converse in WAYS.items():
        receives, right, largest = [], [], []
        for _ in range(lab.pick(3, 30, 100, 300)):
            one, other = pair()
            with one, other:
                found = converse(one, other)
            receives.append(len(found))
            right.append(sum(one == two for one, two in zip(found, MESSAGES, strict=False)))
            largest.append(max(map(len, found)))
        lab.report(way, "messages received", "count", receives)
        lab.report(way, "as they were sent", "count", right)
        lab.report(way, "largest", "bytes", largest)


def judge(found: Found) -> Verdict:
    """They stick if one was larger than what was sent; a header mends it if all came out."""
    return all_of(
        [
            at_least(
                found.of("as they are", "largest"),
                21,
                "the largest receive had {} of messages of 20 B",
            ),
            exactly(
                found.of("behind their length", "as they were sent"),
                100,
                "with a header {} of 100 came out as they were sent",
            ),
        ]
    )
