"""The oracle for flows of datagrams: what `clients.engine.reference` is for connections.

Each flow remembers every request that it has ever made, and what became of it. So there is nothing
to be clever about when a datagram comes: its tag, or its mark, says which request it answers, and
the request says whether that is news.
"""

from __future__ import annotations

__all__ = ["FlowReference"]

import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from clients.engine.reference import (
    CONNECT_ERRORS,
    READ_BYTES,
    RETRY_SECONDS,
    Connection,
    Reference,
    Request,
)
from servers.protocol import ERROR, HEADER

HISTORY = 256
"""A flow waits when its oldest pending request is so many ago, or twice its depth."""
TAGS = 65_536


@dataclass(slots=True, eq=False)
class Flow(Connection):
    """One connected UDP socket, and all its requests by sequence number."""

    requests: list[Request] = field(default_factory=list)
    pending: dict[int, Request] = field(default_factory=dict)
    answered_ones: set[int] = field(default_factory=set)


class FlowReference(Reference):
    """A `Driver` of this room for loads over UDP."""

    def _make(self, number: int) -> Flow:
        return Flow(number, idle=False)

    def _expects_more(self) -> bool:
        return self._errors["lost"] > self._errors["late"]

    def _connect(self, flow: Any) -> None:
        flow.since = time.monotonic()
        try:
            flow.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            self._errors["no_descriptors"] += 1
            return
        flow.socket.setblocking(False)
        self._selector.register(flow.socket, selectors.EVENT_READ, flow)
        flow.socket.connect((self._load.host, self._load.port))
        self._connect_seconds.append(time.monotonic() - flow.since)
        self._flush(flow)

    def _look_after(self, now: float) -> None:
        for flow in self._connections:
            assert isinstance(flow, Flow)  # noqa: S101  # as _make has made it
            if flow.socket is None:
                if self._sending and now - flow.since > RETRY_SECONDS:
                    self._connect(flow)
                continue
            limit = self._load.request_timeout_seconds
            late = [each for each in flow.pending.values() if now - each.sent_at > limit]
            for request in late:
                self._end_request(flow, request, "lost")
            if late:
                self._flush(flow)

    def _end_request(self, flow: Flow, request: Request, kind: str) -> None:
        """Count a request that has no right answer, with its age."""
        del flow.pending[request.sequence]
        flow.outstanding.remove(request)
        self._errors[kind] += 1
        if self._counting:
            self._unanswered.append(time.monotonic() - request.due_at)

    def _has_room(self, flow: Any) -> bool:
        depth = self._load.depth
        span = flow.begun - min(flow.pending, default=flow.begun)
        places = HISTORY
        while places < 2 * depth:
            places *= 2
        return len(flow.pending) < depth and span < places

    def _flush(self, flow: Any) -> None:
        while self._may_begin(flow):
            request = self._begin_request(flow)
            if request is None:
                break
            flow.requests.append(request)
            flow.pending[request.sequence] = request
            try:
                flow.socket.send(flow.unsent)
            except OSError as error:
                self._fail(flow, CONNECT_ERRORS.get(error.errno or 0, "reset"))
                return
            flow.unsent = b""
        self._queue(flow)

    def _shut(self, connection: Any) -> None:
        connection.pending.clear()
        super()._shut(connection)

    def _receive(self, flow: Any) -> None:
        while flow.socket is not None:
            try:
                datagram = flow.socket.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._fail(flow, CONNECT_ERRORS.get(error.errno or 0, "reset"))
                return
            now = time.monotonic()
            if now >= self._send_until:
                self._sending = False
            self._take(flow, datagram, now)
        self._flush(flow)

    def _take(self, flow: Flow, datagram: bytes, now: float) -> None:
        sequence = self._sequence_of(flow, datagram)
        if sequence is None:
            self._errors["mismatch"] += 1
            return
        answer = self._exchange.answer
        right = datagram == answer.bytes_of(flow.number, sequence)
        is_error = answer.framed and HEADER.unpack_from(datagram)[1] == ERROR
        wrong = "" if right else "error_frame" if is_error else "mismatch"
        request = flow.pending.get(sequence)
        if request is None:
            again = "duplicated" if sequence in flow.answered_ones else "late"
            self._errors[wrong or again] += 1
            if not wrong:
                flow.answered_ones.add(sequence)
        elif wrong:
            self._end_request(flow, request, wrong)
        else:
            del flow.pending[sequence]
            flow.outstanding.remove(request)
            flow.answered_ones.add(sequence)
            flow.answered += 1
            self._count(flow, request, now)

    def _sequence_of(self, flow: Flow, datagram: bytes) -> int | None:
        """Return the latest request with the tag or the mark of a datagram, if there is one."""
        answer = self._exchange.answer
        if answer.framed:
            if len(datagram) < HEADER.size:
                return None
            *_, tag = HEADER.unpack_from(datagram)
        else:
            at = len(answer.head)
            if len(datagram) < at + 2:
                return None
            tag = int.from_bytes(datagram[at : at + 2], "little")
        same = range(tag, len(flow.requests), TAGS)
        return same[-1] if same else None
