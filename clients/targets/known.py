"""Servers whose response times are known, `python -m clients.targets.known delay 0.005`.

They check the instrument. `delay SECONDS` answers each echo so long after it came. `stall SECONDS
PERIOD` answers at once but for the first SECONDS of every PERIOD, in which it does nothing. Both
watch the clock all the time instead of sleeping, so they need a CPU of their own and are exact to
a few microseconds; no timer and no wake-up stands between the promise and the answer.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping

from servers import protocol

BACKLOG = 1024

AnswerTime = Callable[[float], float]
"""When a request that comes at a time is answered; both on the monotonic clock, never falling."""


def delay(seconds: float) -> AnswerTime:
    """Return the rule of a server that takes `seconds` for everything."""
    return lambda now: now + seconds


def stall(seconds: float, period: float) -> AnswerTime:
    """Return the rule of a server that stands still at the beginning of every `period`."""
    return lambda now: max(now, now - now % period + seconds)


ANSWER_TIMES: Mapping[str, Callable[..., AnswerTime]] = {"delay": delay, "stall": stall}


def main(name: str, *seconds: str) -> None:
    """Listen on the loopback address and serve until standard input ends."""
    rule = ANSWER_TIMES[name](*map(float, seconds))
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        host, port = listener.getsockname()
        ready = {"ready": True, "model": name, "host": host, "port": port, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        serve(listener, sys.stdin.fileno(), rule)


def serve(listener: socket.socket, lifeline: int, answer_time: AnswerTime) -> None:
    """Answer echoes when the rule says until `lifeline` is readable or its peer has gone."""
    connections: dict[int, tuple[socket.socket, protocol.Connection]] = {}
    owed: deque[tuple[float, socket.socket, bytes]] = deque()
    with select.epoll() as poll:
        poll.register(listener, select.EPOLLIN)
        poll.register(lifeline, select.EPOLLIN)
        while True:
            for descriptor, _ in poll.poll(0):
                if descriptor == lifeline:
                    return
                if descriptor == listener.fileno():
                    accepted, _ = listener.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connections[accepted.fileno()] = accepted, protocol.Connection()
                    poll.register(accepted, select.EPOLLIN)
                    continue
                connection, framing = connections[descriptor]
                data = _received(connection)
                due = answer_time(time.monotonic())
                for kind, tag, body in framing.receive(data):
                    answer = protocol.frame(kind | protocol.ANSWER, tag, body)
                    owed.append((due, connection, answer))
                if not data:
                    poll.unregister(descriptor)
                    connections.pop(descriptor)
                    connection.close()
            while owed and owed[0][0] <= time.monotonic():
                _, connection, answer = owed.popleft()
                if connection.fileno() >= 0:
                    _send(connection, answer)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def _send(connection: socket.socket, answer: bytes) -> None:
    try:
        connection.sendall(answer)
    except ConnectionError:
        # The peer has gone; the next turn reads its end.
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
