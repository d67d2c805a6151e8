"""Servers whose delays and faults are known, for testing what drives servers."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256

from servers import protocol

Script = Callable[[socket.socket], None]
"""What a server does with one connection; the socket is closed when it returns."""

TIMEOUT_SECONDS = 10.0


@contextlib.contextmanager
def scripted_server(script: Script, backlog: int = 1024) -> Iterator[int]:
    """Run `script` for each connection in a thread of its own; gives the port."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            script(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(TIMEOUT_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections.append(connection)
                threads.append(threading.Thread(target=converse, args=[connection]))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def requests(connection: socket.socket) -> Iterator[protocol.Frame]:
    """Give the frames that arrive on the connection, until its end."""
    framing = protocol.Connection()
    while data := connection.recv(65_536):
        yield from framing.receive(data)


def answer(request: protocol.Frame) -> bytes:
    """Return the right answer to a request; the waiting of WAIT is the caller's."""
    kind, tag, body = request
    if kind == protocol.UPPER:
        body = body.upper()
    elif kind in {protocol.COMPUTE, protocol.WAIT}:
        body = body[4:]
    return protocol.frame(kind | protocol.ANSWER, tag, body)


def reset(connection: socket.socket) -> None:
    """Have the closing of the connection send RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def echo(connection: socket.socket) -> None:
    """Answer every request."""
    for request in requests(connection):
        connection.sendall(answer(request))


def echo_raw(connection: socket.socket) -> None:
    """Send back whatever comes."""
    while data := connection.recv(65_536):
        connection.sendall(data)


def fragmented(connection: socket.socket) -> None:
    """Answer every request a byte at a time."""
    for request in requests(connection):
        for byte in answer(request):
            connection.sendall(bytes([byte]))


def answers_then(count: int, end: Callable[[socket.socket, protocol.Frame], object]) -> Script:
    """Return a script that answers `count` requests and does `end` with the next one."""

    def script(connection: socket.socket) -> None:
        for index, request in enumerate(requests(connection)):
            if index < count:
                connection.sendall(answer(request))
            else:
                end(connection, request)
                return

    return script


def _say_nothing(connection: socket.socket, _: protocol.Frame) -> None:
    while connection.recv(65_536):
        pass


def _send_changed(
    change: Callable[[bytes], bytes], connection: socket.socket, request: protocol.Frame
) -> None:
    connection.sendall(change(answer(request)))


def _split_error_frame(connection: socket.socket, request: protocol.Frame) -> None:
    error = protocol.frame(protocol.ERROR, request[1], protocol.KindError("no").body())
    connection.sendall(error[:2])
    connection.sendall(error[2:])


FAULTS: dict[str, tuple[str, Callable[[socket.socket, protocol.Frame], object]]] = {
    "closes between frames": ("eof", lambda *_: None),
    "closes in mid-frame": ("eof", partial(_send_changed, lambda frame: frame[:-1])),
    "resets": ("reset", lambda connection, _: reset(connection)),
    "says nothing": ("unfinished", _say_nothing),
    "wrong byte": ("mismatch", partial(_send_changed, lambda frame: frame[:-1] + b"\0")),
    "wrong tag": (
        "mismatch",
        partial(_send_changed, lambda frame: frame[:6] + b"\xfe\xdc" + frame[8:]),
    ),
    "too many bytes": ("mismatch", partial(_send_changed, lambda frame: frame + b"more")),
    "error frame": (
        "error_frame",
        lambda connection, request: connection.sendall(
            protocol.frame(protocol.ERROR, request[1], protocol.KindError("no").body())
        ),
    ),
    "error frame in two pieces": ("error_frame", _split_error_frame),
}
"""What a server can do wrong, and under which kind that counts."""


# Files. Written from docs/wire.md without the code under test, so that both must be right to agree.


def json_frame(kind: int, tag: int, values: dict[str, object]) -> bytes:
    """Return a frame whose body is JSON."""
    return protocol.frame(kind, tag, json.dumps(values, ensure_ascii=False).encode())


def transfer(tag: int, name: str, content: bytes) -> list[bytes]:
    """Return the frames that carry a file: META, DATA*, END."""
    pieces = [content[start : start + 2**18] for start in range(0, len(content), 2**18)]
    return [
        json_frame(protocol.META, tag, {"name": name, "size": len(content)}),
        *(protocol.frame(protocol.DATA, tag, piece) for piece in pieces),
        json_frame(protocol.END, tag, {"sha256": sha256(content).hexdigest()}),
    ]


def file_server(files: dict[str, bytes]) -> Script:
    """Return a script that serves GETs and takes PUTs of whole files, held in `files`."""

    def script(connection: socket.socket) -> None:
        name, size, received = "", 0, bytearray()
        for kind, tag, body in requests(connection):
            if kind == protocol.GET:
                connection.sendall(b"".join(transfer(tag, body.decode(), files[body.decode()])))
            elif kind == protocol.PUT:
                name, received = body.decode(), bytearray()
            elif kind == protocol.META:
                assert json.loads(body)["name"] == name
                size = json.loads(body)["size"]
            elif kind == protocol.DATA:
                received += body
            elif kind == protocol.END:
                digest = sha256(received).hexdigest()
                assert (len(received), digest) == (size, json.loads(body)["sha256"])
                files[name] = bytes(received)
                values: dict[str, object] = {"name": name, "size": size, "sha256": digest}
                connection.sendall(json_frame(protocol.PUT | protocol.ANSWER, tag, values))

    return script


def answers_get(*frames: bytes, then: Callable[[socket.socket], object] = lambda _: None) -> Script:
    """Return a script that answers the first request with `frames`, and then does `then`."""

    def script(connection: socket.socket) -> None:
        if next(requests(connection), None) is None:
            return  # a connection that was closed before it asked for anything
        connection.sendall(b"".join(frames))
        then(connection)

    return script
