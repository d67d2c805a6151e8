"""What a session asks of whoever carries the conversation out: the steps of a reply, of a farewell.

A step is bytes, to be sent, or one of these. They stand between `service.py` and `files.py`, which
say what is to be done, and `drivers/`, which do it, each with its own way to wait.
"""

from __future__ import annotations

__all__ = [
    "TURN",
    "CutShort",
    "DrainFor",
    "Elsewhere",
    "IdlePeer",
    "LastStep",
    "Report",
    "Reset",
    "Run",
    "SendFile",
    "ShutSending",
    "Step",
    "StuckPeer",
    "Wait",
]

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from io import FileIO
    from socket import socket

    from servers.command import Command


class Wait:
    """A step: let at least `seconds` pass before the next one."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class SendFile:
    """A step: send `count` bytes of `file` from `offset` on, or reset the connection.

    The header that promises these bytes is sent: if the file has become too short for it, nothing
    else may follow.
    """

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: FileIO, offset: int, count: int) -> None:
        self.file = file
        self.offset = offset
        self.count = count


class Run:
    """A step: run the program `argv` to its end, or end it, and tell `command` what comes of it.

    The driver sends the frames that `command` makes of the output while that comes.
    """

    __slots__ = ("argv", "command")

    def __init__(self, argv: tuple[str, ...], command: Command) -> None:
        self.argv = argv
        self.command = command


class Elsewhere:
    """A step: have `begin` start some work, and wait for the future that it returns.

    Only a model that has somewhere to do it (drivers/offloading.py) hands this to its driver.
    """

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[], Future[None]]) -> None:
        self.begin = begin


class ShutSending:
    """A step: send the end of the stream, after all that is to be sent."""

    __slots__ = ()


class DrainFor:
    """A step: receive and throw away, until the peer's end, but for so many `seconds` at most.

    To close with bytes unread would reset the connection, and our last words might be lost.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Reset:
    """A step: have the close be a reset, and whatever has not gone be thrown away."""

    __slots__ = ()


class Report:
    """A step: call `tell` with the connection, so that its fault is counted and said."""

    __slots__ = ("tell",)

    def __init__(self, tell: Callable[[socket], None]) -> None:
        self.tell = tell


TURN = Wait(0)
"""A step: let the others on an event loop have their turn."""


# What may befall a driver. Any other OSError is the peer's affair, and the connection over.


class IdlePeer(OSError):  # noqa: N818 - it says who is at fault
    """No whole frame has arrived in time."""


class StuckPeer(OSError):  # noqa: N818 - it says who is at fault
    """The peer has taken no byte in time."""


class CutShort(OSError):  # noqa: N818 - it says what happened to the frame
    """The bytes that a header has promised cannot be sent: the connection is to be reset."""


if TYPE_CHECKING:
    Step = bytes | Wait | SendFile | Run
    """Of a reply."""
    LastStep = bytes | ShutSending | DrainFor | Reset | Report
    """Of a farewell."""
