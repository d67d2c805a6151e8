"""The load engine once more, in plain Python: the oracle that the engine is tested against.

Written for the reader, not for speed: everything that the engine computes on the fly is kept here
as it is, each request's bytes and each answer's, and lists of single durations instead of
histograms. It obeys the same rules (docs/method.md) and knows nothing of the engine's code.
"""

from __future__ import annotations

__all__ = [
    "CONNECT_ERRORS",
    "READ_BYTES",
    "RETRY_SECONDS",
    "Connection",
    "Reference",
    "Request",
]

import contextlib
import errno
import math
import selectors
import socket
import struct
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clients.engine.exchange import Exchange
from clients.load import ERROR_KINDS, AimedLoad
from clients.pacing import due_times
from reports.histogram import slot_of
from servers.protocol import ERROR, HEADER

RETRY_SECONDS = 0.005
RETRIED_SECONDS = 0.2
TOTAL_RETRANS_AT = 100  # of tcpi_total_retrans in struct tcp_info (linux/tcp.h)
READ_BYTES = 256 * 1024

CONNECT_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EMFILE: "no_descriptors",
    errno.ENFILE: "no_descriptors",
    errno.ENOBUFS: "no_descriptors",
    errno.ENOMEM: "no_descriptors",
}


class Request(NamedTuple):
    """A request that has begun; times in seconds of the monotonic clock."""

    sequence: int
    due_at: float  # in a closed loop when it was sent
    sent_at: float


@dataclass(slots=True, eq=False)
class Connection:
    """One connection's state: closed (no socket), connecting, or open."""

    number: int
    idle: bool
    socket: socket.socket | None = None
    connecting: bool = False
    since: float = -math.inf  # when the connect began, or when the connection closed
    begun: int = 0  # requests in all lives, so the next one's sequence number
    answered: int = 0
    begun_in_session: int = 0
    outstanding: deque[Request] = field(default_factory=deque)
    unsent: bytes = b""
    received: bytearray = field(default_factory=bytearray)
    counted: int = 0  # answers in the window


class Reference:
    """A `Driver` of this room over `selectors`, in the calling thread and no other."""

    def __init__(self, load: AimedLoad) -> None:
        if load.company:
            raise ValueError("the oracle drives one load at a time, and no company")
        self._load = load
        self._exchange = Exchange.of(load)
        self._selector = selectors.DefaultSelector()
        self._connections = [
            self._make(number) for number in range(load.connections + load.idle_connections)
        ]
        # The open loop: the schedule goes on where the phase before has left it.
        self._schedule = due_times(load.rate, load.arrivals, load.seed) if load.rate else None
        self._next_due_ns = next(self._schedule) if self._schedule else 0.0
        self._elapsed = 0.0  # of the schedule, by earlier phases
        self._free: deque[Connection] = deque()
        self._errors: Counter[str] = Counter()
        self._connect_seconds: list[float] = []
        self._connect_retries = 0
        self._sending = False
        self._counting = False  # from the window's begin to the end of the drain
        self._begin = self._end = self._send_until = 0.0
        self._interval_seconds = 1.0
        self._cpu_seconds = self._open_seconds = 0.0
        self._answered: list[tuple[float, float]] = []  # arrival, latency; due in the window
        self._services: list[float] = []
        self._send_lags: list[float] = []
        self._arrivals: list[float] = []
        self._unanswered: list[float] = []

    def _make(self, number: int) -> Connection:
        return Connection(number, idle=number >= self._load.connections)

    def _expects_more(self) -> bool:
        return False

    # The phases.

    def open(self) -> None:
        """Try to open every connection once, a limited number at a time."""
        begin = time.monotonic()
        untried = deque(self._connections)
        while untried or any(map(_opening, self._connections)):
            connecting = sum(map(_opening, self._connections))
            for _ in range(min(len(untried), self._load.connect_at_once - connecting)):
                self._connect(untried.popleft())
            self._turn(time.monotonic() + RETRY_SECONDS)
        self._open_seconds = time.monotonic() - begin

    def warm_up(self, seconds: float) -> None:
        """Load the server for `seconds`, outside every figure but the errors."""
        self._run(seconds)

    def measure(self, seconds: float, interval_seconds: float) -> None:
        """Load the server for `seconds`, and count."""
        cpu = time.process_time()
        self._interval_seconds = interval_seconds
        self._counting = True
        self._answered, self._arrivals, self._unanswered = [], [], []
        self._services, self._send_lags = [], []
        for connection in self._connections:
            connection.counted = 0
        self._run(seconds)
        self._cpu_seconds = time.process_time() - cpu

    def drain(self, seconds: float) -> None:
        """Take answers for at most `seconds`; what is left then is unfinished."""
        deadline = time.monotonic() + seconds
        self._sending = self._schedule is not None  # what was due in the window still goes out
        self._send_until = deadline
        while (now := time.monotonic()) < deadline and (
            self._overdue(now)
            or any(c.outstanding for c in self._connections)
            or self._expects_more()
        ):
            self._dispatch()
            self._turn(deadline)
        self._sending = False
        for connection in self._connections:
            self._give_up(connection, "unfinished")
        while self._overdue(now):
            self._errors["unfinished"] += 1
            self._unanswered.append(now - self._take_due())
        self._counting = False

    def tally(self) -> dict[str, Any]:
        """Return the figures of the last window, as `Tally.from_raw` takes them."""
        steps = range(math.ceil((self._end - self._begin) / self._interval_seconds - 1e-9))

        def step(arrival: float) -> int:
            return int((arrival - self._begin) / self._interval_seconds)

        return {
            "seconds": self._end - self._begin,
            "requests": len(self._arrivals),
            "errors": {kind: self._errors[kind] for kind in ERROR_KINDS},
            "answered": _pairs([latency for _, latency in self._answered]),
            "unanswered": _pairs(self._unanswered),
            "services": _pairs(self._services),
            "send_lags": _pairs(self._send_lags),
            "connecting": _pairs(self._connect_seconds),
            "connect_retries": self._connect_retries,
            "idle_served": sum(
                c.idle and c.socket is not None and c.answered > 0 for c in self._connections
            ),
            "requests_per_connection": [c.counted for c in self._connections if not c.idle],
            "interval_seconds": self._interval_seconds,
            "interval_requests": [
                sum(step(arrival) == index for arrival in self._arrivals) for index in steps
            ],
            "interval_latencies": [
                _pairs(
                    [
                        latency
                        for arrival, latency in self._answered
                        if arrival < self._end and step(arrival) == index
                    ]
                )
                for index in steps
            ],
            "generator_cpu_seconds": self._cpu_seconds,
            "open_seconds": self._open_seconds,
            "company_requests": 0,
        }

    def close(self) -> None:
        """Close the connections and the selector."""
        for connection in self._connections:
            self._shut(connection)
        self._selector.close()

    # The loop.

    def _run(self, seconds: float) -> None:
        self._elapsed += self._end - self._begin
        self._begin = time.monotonic()
        self._end = self._send_until = self._begin + seconds
        self._sending = True
        for connection in self._connections:
            if connection.socket is None:
                self._connect(connection)
            elif not connection.connecting:
                self._flush(connection)
        while (now := time.monotonic()) < self._end:
            self._dispatch()
            self._turn(min(self._end, now + RETRY_SECONDS))
            self._sending = time.monotonic() < self._end
        self._sending = False

    def _turn(self, deadline: float) -> None:
        if self._free and self._overdue(deadline):
            deadline = self._due()
        for key, ready in self._selector.select(max(0.0, deadline - time.monotonic())):
            connection: Connection = key.data
            if connection.connecting:
                self._finish_connect(connection)
                continue
            if ready & selectors.EVENT_READ:
                self._receive(connection)
            if ready & selectors.EVENT_WRITE and connection.socket is key.fileobj:
                self._flush(connection)
        self._look_after(time.monotonic())

    # The schedule of an open loop.

    def _due(self) -> float:
        """Return when the next request is due, in seconds of the monotonic clock."""
        return self._begin - self._elapsed + self._next_due_ns / 1e9

    def _take_due(self) -> float:
        """Return when the next request is due, and go on to the one after it."""
        assert self._schedule is not None  # noqa: S101  # for mypy
        due = self._due()
        self._next_due_ns = next(self._schedule)
        return due

    def _overdue(self, now: float) -> bool:
        """Whether a request is due by `now` that belongs to this phase or to an earlier one."""
        return self._schedule is not None and self._due() <= now and self._due() < self._end

    def _dispatch(self) -> None:
        while self._free and self._overdue(time.monotonic()):
            connection = self._free.popleft()
            if connection.socket is not None and not connection.connecting:
                self._flush(connection)

    def _look_after(self, now: float) -> None:
        for connection in self._connections:
            if connection.connecting:
                if now - connection.since > self._load.connect_timeout_seconds:
                    self._fail(connection, "connect_timeout")
            elif connection.outstanding:
                if now - connection.outstanding[0].sent_at > self._load.request_timeout_seconds:
                    self._fail(connection, "timeout")
            elif (
                connection.socket is None
                and self._sending
                and now - connection.since > RETRY_SECONDS
            ):
                self._connect(connection)

    # Connecting, failing, closing.

    def _connect(self, connection: Connection) -> None:
        connection.since = time.monotonic()
        connection.begun_in_session = 0
        try:
            connection.socket = socket.socket()
        except OSError:
            self._errors["no_descriptors"] += 1
            return
        connection.socket.setblocking(False)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connecting = True
        self._selector.register(connection.socket, selectors.EVENT_WRITE, connection)
        error = connection.socket.connect_ex((self._load.host, self._load.port))
        if error not in {0, errno.EINPROGRESS}:
            self._fail(connection, CONNECT_ERRORS.get(error, "reset"))

    def _finish_connect(self, connection: Connection) -> None:
        assert connection.socket is not None  # noqa: S101  # for mypy
        error = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._fail(connection, CONNECT_ERRORS.get(error, "reset"))
            return
        connection.connecting = False
        seconds = time.monotonic() - connection.since
        self._connect_seconds.append(seconds)
        if seconds > RETRIED_SECONDS:
            information = connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            (retransmits,) = struct.unpack_from("=I", information, TOTAL_RETRANS_AT)
            self._connect_retries += retransmits
        self._flush(connection)

    def _fail(self, connection: Connection, kind: str) -> None:
        if not connection.outstanding:
            self._errors[kind] += 1
        self._give_up(connection, kind)
        self._shut(connection)

    def _give_up(self, connection: Connection, kind: str) -> None:
        self._errors[kind] += len(connection.outstanding)
        if self._counting:
            now = time.monotonic()
            self._unanswered += [now - request.due_at for request in connection.outstanding]

    def _shut(self, connection: Connection) -> None:
        if connection.socket is None:
            return
        self._selector.unregister(connection.socket)
        connection.socket.close()
        connection.socket = None
        connection.connecting = False
        connection.since = time.monotonic()
        connection.outstanding.clear()
        connection.unsent = b""
        connection.received.clear()

    # Requests and answers.

    def _flush(self, connection: Connection) -> None:
        assert connection.socket is not None  # noqa: S101  # for mypy
        while self._may_begin(connection) and self._begin_request(connection):
            pass
        with contextlib.suppress(BlockingIOError):
            try:
                while connection.unsent:
                    sent = connection.socket.send(connection.unsent)
                    connection.unsent = connection.unsent[sent:]
            except ConnectionError:
                self._fail(connection, "reset")
                return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.socket, wanted, connection)
        self._queue(connection)

    def _begin_request(self, connection: Connection) -> Request | None:
        """Have one more request to send, if an open loop has one that is due."""
        sent_at = due_at = time.monotonic()
        if self._schedule is not None and not connection.idle:
            if not self._overdue(sent_at):
                return None
            due_at = self._take_due()
            if self._counting and due_at >= self._begin:
                self._send_lags.append(sent_at - due_at)
        request = Request(connection.begun, due_at, sent_at)
        connection.unsent += self._exchange.request.bytes_of(connection.number, connection.begun)
        connection.outstanding.append(request)
        connection.begun += 1
        connection.begun_in_session += 1
        return request

    def _queue(self, connection: Connection) -> None:
        """Have a connection wait for the next request that is due, if it can take one."""
        can_take_one = self._schedule is not None and self._has_room(connection)
        if can_take_one and connection not in self._free:
            self._free.append(connection)

    def _may_begin(self, connection: Connection) -> bool:
        return (self._sending or connection.idle) and self._has_room(connection)

    def _has_room(self, connection: Connection) -> bool:
        if connection.idle:
            return connection.begun == 0
        session = self._load.session
        return len(connection.outstanding) < self._load.depth and (
            session == 0 or connection.begun_in_session < session
        )

    def _receive(self, connection: Connection) -> None:
        assert connection.socket is not None  # noqa: S101  # for mypy
        try:
            data = connection.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._fail(connection, "reset")
            return
        if not data:
            self._fail(connection, "eof")
            return
        now = time.monotonic()
        if now >= self._send_until:
            self._sending = False
        connection.received += data
        while connection.received:
            if not connection.outstanding:
                self._fail(connection, "mismatch")
                return
            request = connection.outstanding[0]
            expected = self._exchange.answer.bytes_of(connection.number, request.sequence)
            if not expected.startswith(connection.received[: len(expected)]):
                kind = self._what_is_wrong(connection.received, expected)
                if kind is None:
                    return
                self._fail(connection, kind)
                return
            if len(connection.received) < len(expected):
                return
            del connection.received[: len(expected)]
            connection.outstanding.popleft()
            connection.answered += 1
            self._count(connection, request, now)
        if connection.begun_in_session == self._load.session and not connection.outstanding:
            self._shut(connection)
            if self._sending:
                self._connect(connection)
        else:
            self._flush(connection)

    def _what_is_wrong(self, received: bytearray, expected: bytes) -> str | None:
        """Return the kind of error; None while a header is too short to tell."""
        if not self._exchange.answer.framed:
            return "mismatch"
        # Frames that are right are passed over; the last one may be whole, and yet be wrong.
        start = 0
        while True:
            end = start + HEADER.size + HEADER.unpack_from(expected, start)[0]
            if received[start:end] != expected[start:end]:
                break
            start = end
        if len(received) < start + HEADER.size:
            return None
        _, kind, _, _ = HEADER.unpack_from(received, start)
        return "error_frame" if kind == ERROR else "mismatch"

    def _count(self, connection: Connection, request: Request, now: float) -> None:
        if not self._counting or connection.idle:
            return
        if now < self._end:
            self._arrivals.append(now)
            connection.counted += 1
        if request.due_at >= self._begin:
            self._answered.append((now, now - request.due_at))
            if self._schedule is not None:
                self._services.append(now - request.sent_at)


def _opening(connection: Connection) -> bool:
    """Whether a connection is under way to open; an idle one is until the server answered it."""
    return connection.connecting or (
        connection.idle and connection.socket is not None and not connection.answered
    )


def _pairs(seconds: list[float]) -> list[list[int]]:
    """Return durations as [slot, count] pairs, the form of the engine's histograms."""
    counts = Counter(slot_of(round(value * 1e9)) for value in seconds)
    return [[slot, count] for slot, count in sorted(counts.items())]
