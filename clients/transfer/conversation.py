"""A connection for one request, and how long a server is waited for.

Two clocks run: one that starts anew with every byte that moves, and one for the whole request, for
a server that sends a byte now and then would never be given up by the first.
"""

from __future__ import annotations

__all__ = ["TAG", "Conversation", "Patience"]

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from clients.transfer.answers import sentence_of
from clients.transfer.errors import PeerError, UserError
from servers.protocol import DATA, DATA_BYTES, ERROR, FAULT, Connection, Frame

TAG = 1  # one request per connection needs no other


class Patience:
    """How long to wait: for a sign of life, and for everything (0: for ever)."""

    def __init__(self, idle_seconds: float, total_seconds: float = 0.0) -> None:
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._deadline = time.monotonic() + total_seconds if total_seconds else float("inf")

    def left(self) -> float:
        """Return the seconds that the next step may take; PeerError when there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise PeerError(f"The server was not done within {self._total_seconds:g} seconds.")
        return min(left, self._idle_seconds)

    def is_over(self) -> PeerError:
        """Return what to say of a step that took longer than that."""
        with contextlib.suppress(PeerError):
            self.left()
            return PeerError(f"The server did not answer in time ({self._idle_seconds:g} s).")
        return PeerError(f"The server was not done within {self._total_seconds:g} seconds.")


class Conversation:
    """A connection for one request. Whatever goes wrong on it is a PeerError, but for the host."""

    def __init__(self, host: str, port: int, patience: Patience, limit: int) -> None:
        self._patience = patience
        self._socket = self._connected(host, port)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framing = Connection(limit)
        self._frames: deque[Frame] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _connected(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of the host that takes one."""
        # Not socket.create_connection(), which would wait as long anew for each address.
        failure = PeerError(f"There is no address for {host!r}.")
        for family, kind, protocol, _, address in addresses(host, port):
            connection = socket.socket(family, kind, protocol)
            try:
                with self._waiting(connection):
                    connection.connect(address)
            except PeerError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        left = memoryview(data)
        try:
            while left:
                with self._waiting(self._socket):
                    left = left[self._socket.send(left) :]
        except PeerError:
            # A server that closes says why, if it can, before it does.
            with contextlib.suppress(PeerError):
                self._fill()
            self._raise_refusal()
            raise

    def check_not_refused(self) -> None:
        """Raise what the server has to say in the middle of an upload: only a refusal."""
        looked_at = select.poll()  # select() itself takes no descriptor beyond 1,023
        looked_at.register(self._socket, select.POLLIN)
        if looked_at.poll(0):
            kind, _ = self.next()
            raise PeerError(f"The server sent a frame of kind {kind} in the middle of an upload.")

    def expect(self, kind: int) -> bytes:
        """Return the body of the next frame, which must be of this kind."""
        got, body = self.next()
        if got != kind:
            raise PeerError(f"The server sent a frame of kind {got} where {kind} was due.")
        return body

    def pieces(self, size: int) -> Iterator[bytes]:
        """Give the bodies of the DATA frames of a file of `size` bytes."""
        left = size
        while left:
            piece = self.expect(DATA)
            if not 0 < len(piece) <= left:
                raise PeerError(f"The server sent {len(piece)} bytes where {left} were left.")
            left -= len(piece)
            yield piece

    def next(self) -> tuple[int, bytes]:
        """Return the kind and the body of the next frame, whatever it is but a refusal."""
        while not self._frames:
            self._fill()
        self._raise_refusal()
        kind, tag, body = self._frames.popleft()
        if kind == FAULT:
            raise PeerError(f"The server broke the framing: {sentence_of(body)}")
        if tag != TAG:
            raise PeerError(f"The server answered request {tag}, which was never made.")
        return kind, body

    def _fill(self) -> None:
        with self._waiting(self._socket):
            data = self._socket.recv(DATA_BYTES)
        if not data:
            raise PeerError("The server closed the connection before the end.")
        self._frames.extend(self._framing.receive(data))

    def _raise_refusal(self) -> None:
        if self._frames and self._frames[0][0] == ERROR:
            _, _, body = self._frames[0]
            raise PeerError(f"The server refused: {sentence_of(body)}")

    @contextlib.contextmanager
    def _waiting(self, connection: socket.socket) -> Iterator[None]:
        """Bound what a step may take, and turn what befalls it into an error of the peer's."""
        connection.settimeout(self._patience.left())
        try:
            yield
        except TimeoutError as error:
            raise self._patience.is_over() from error
        except OSError as error:
            raise PeerError(f"The connection failed: {error.strerror}.") from error


def addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    """Return what there is to connect to; UserError when there is no such host."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have this name
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise UserError(f"There is no address for {host!r}: {reason}.") from error
