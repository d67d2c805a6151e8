"""udp-edges: whether datagrams keep their boundaries, their order and all their bytes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.experiments.figures import Found
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, all_of, exactly
from bench.experiments.sockets.ends import HOST

MESSAGES = [b"%020d" % number for number in range(100)]
SIZES = (512, 1_472, 1_473, 65_507, 65_508)
ARRIVED, LARGEST, ORDER = "arrived of those sent", "largest receive", "in order"
TRUNCATED, REST = "of 20 B", "the rest is read next"
PATIENCE_SECONDS = 0.2


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give a sender and a receiver of datagrams; the sender's are for the receiver."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind((HOST, 0))
        receiver.settimeout(PATIENCE_SECONDS)
        sender.connect(receiver.getsockname())
        yield sender, receiver


def received(receiver: socket.socket, most: int) -> list[bytes]:
    """Return what comes, until nothing has come for a while."""
    found: list[bytes] = []
    try:
        while len(found) < most:
            found.append(receiver.recv(65_536))
    except TimeoutError:
        pass  # all that were not dropped have come
    return found


def boundaries() -> list[bytes]:
    """Send small messages together, and return what each receive gives."""
    with pair() as (sender, receiver):
        for message in MESSAGES:
            sender.send(message)
        return received(receiver, len(MESSAGES))


def truncated() -> tuple[int, bool]:
    """Receive a datagram of 20 B with too small a buffer; return if its rest is what comes next."""
    with pair() as (sender, receiver):
        sender.send(MESSAGES[1])
        sender.send(MESSAGES[2])
        return len(receiver.recv(10)), receiver.recv(1024) != MESSAGES[2]


def flood(number: int) -> int:
    """Send to one who does not read, then read; return how many were kept."""
    with pair() as (sender, receiver):
        for _ in range(number):
            sender.send(bytes(1024))
        return len(received(receiver, number))


def of_size(size: int) -> bool:
    """Return whether a datagram of this size arrives; it may be more than a datagram can hold."""
    with pair() as (sender, receiver):
        try:
            sender.send(bytes(size))
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                return False
            raise
        return [len(each) for each in received(receiver, 1)] == [size]


def measure(lab: Lab) -> None:
    """Look at each edge."""
    found = [boundaries() for _ in range(lab.rounds)]
    case = "100 of 20 B"
    lab.report(case, ARRIVED, "share", [len(each) / len(MESSAGES) for each in found])
    lab.report(case, LARGEST, "bytes", [max(map(len, each)) for each in found])
    lab.report(case, ORDER, "yes", [each == sorted(each) for each in found])
    cut = [truncated() for _ in range(lab.rounds)]
    lab.report("recv(10) of 20 B", TRUNCATED, "bytes", [size for size, _ in cut])
    lab.report("recv(10) of 20 B", REST, "yes", [rest for _, rest in cut])
    number = lab.pick(1_000, 5_000, 10_000, 20_000)
    kept = [flood(number) / number for _ in range(lab.rounds)]
    lab.report(f"{number:,} of 1 KiB, nobody reads", ARRIVED, "share", kept)
    for size in SIZES:
        lab.report(f"one of {size:,} B", ARRIVED, "share", float(of_size(size)))


def judge(found: Found) -> Verdict:
    """No sticking; what does not fit the buffer is dropped; beyond 65,507 B nothing is sent."""
    return all_of(
        [
            exactly(
                found.of("100 of 20 B", LARGEST),
                20,
                "the largest receive has {} of messages of 20 B",
            ),
            exactly(
                found.of("recv(10) of 20 B", REST),
                0,
                "the rest of a truncated datagram is read next: {}",
            ),
            exactly(found.of("one of 1,472 B", ARRIVED), 1, "of 1,472 B {} arrive"),
            exactly(found.of("one of 65,508 B", ARRIVED), 0, "of 65,508 B {} arrive"),
        ]
    )
