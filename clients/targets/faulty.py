"""A server that answers every connection wrongly, each in the next one of several ways.

`python -m clients.targets.faulty` prints its port and serves until its standard input
ends. What it does wrong comes to one request of a connection; the client loses all the others that
it has outstanding there.
"""

from __future__ import annotations

__all__ = ["FAULTS"]

import select
import socket
import struct
import sys
from collections.abc import Callable
from itertools import cycle

HEADER = struct.Struct("!IBBH")
ANSWER = 128
RESET = struct.pack("ii", 1, 0)

Fault = Callable[[socket.socket, bytes], bool]
"""Does wrong by a connection, given the right answer; says whether the connection is over."""


def end(connection: socket.socket, answer: bytes) -> bool:
    """Send a part of the answer, and the end."""
    connection.send(answer[: len(answer) // 2])
    connection.shutdown(socket.SHUT_WR)
    return False


def reset(connection: socket.socket, _: bytes) -> bool:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return True


def sends(change: Callable[[bytes], bytes]) -> Fault:
    """Return the fault of sending a changed answer."""

    def send(connection: socket.socket, answer: bytes) -> bool:
        connection.send(change(answer))
        return False

    return send


FAULTS: dict[str, tuple[str, Fault]] = {
    "ends in mid-frame": ("eof", end),
    "resets": ("reset", reset),
    "wrong byte": ("mismatch", sends(lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]))),
    "wrong tag": ("mismatch", sends(lambda answer: answer[:6] + b"\xff\xfe" + answer[8:])),
    "too many bytes": ("mismatch", sends(lambda answer: answer + b"more bytes")),
    "error frame": ("error_frame", sends(lambda _: HEADER.pack(2, 255, 0, 0) + b"\0\3")),
    "stalls": ("timeout", lambda *_: False),
}
"""What it does wrong in turn, and how the engine must count it."""


def main() -> None:
    """Serve, in one thread over epoll."""
    faults = cycle(fault for _, fault in FAULTS.values())
    waiting: dict[int, tuple[socket.socket, Fault | None]] = {}
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        listener.setblocking(False)
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        poll.register(sys.stdin, select.EPOLLIN)
        print(listener.getsockname()[1], flush=True)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == sys.stdin.fileno():
                    return
                if descriptor == listener.fileno():
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    waiting[connection.fileno()] = connection, next(faults)
                    poll.register(connection, select.EPOLLIN)
                elif is_over(waiting, descriptor):
                    waiting.pop(descriptor)[0].close()


def is_over(waiting: dict[int, tuple[socket.socket, Fault | None]], descriptor: int) -> bool:
    """Do wrong by a connection that has sent something; whether it is to be closed."""
    connection, fault = waiting[descriptor]
    try:
        data = connection.recv(65_536)
        if not data or fault is None:
            return not data
        waiting[descriptor] = connection, None
        return fault(connection, answer_to(data))
    except OSError:
        return True


def answer_to(data: bytes) -> bytes:
    """Return the right answer to the first request in `data`, an ECHO."""
    size, kind, _, tag = HEADER.unpack_from(data)
    return HEADER.pack(size, kind | ANSWER, 0, tag) + data[HEADER.size : HEADER.size + size]


if __name__ == "__main__":
    main()
