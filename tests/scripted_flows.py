"""A server of datagrams whose faults are known, for testing what drives such servers."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

from servers.protocol import HEADER, HEADER_SIZE, Frame

Answers = list[tuple[float, bytes]]
"""What is sent, and in how many seconds."""
Script = Callable[[int, Frame, bytes], Answers]
"""What is done about a request: its number from 0 on, its frame, its bytes."""


@contextlib.contextmanager
def scripted_flows(script: Script) -> Iterator[int]:
    """Answer datagrams as `script` says, in a thread; gives the port."""
    ended = threading.Event()

    def serve() -> None:
        later: list[tuple[float, int, bytes, object]] = []
        numbers, ties = itertools.count(), itertools.count()
        while not ended.is_set():
            left = later[0][0] - time.monotonic() if later else 0.02
            if select.select([sock], [], [], min(max(left, 0), 0.02))[0]:
                datagram, address = sock.recvfrom(65_536)
                _, kind, _, tag = HEADER.unpack_from(datagram)
                request = (kind, tag, datagram[HEADER_SIZE:])
                for seconds, answer in script(next(numbers), request, datagram):
                    due = time.monotonic() + seconds
                    heapq.heappush(later, (due, next(ties), answer, address))
            while later and later[0][0] <= time.monotonic():
                *_, answer, address = heapq.heappop(later)
                with contextlib.suppress(OSError):
                    sock.sendto(answer, address)  # type: ignore[call-overload]  # whatever came

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            ended.set()
            thread.join()
