"""What a session asks of whoever carries the conversation out: the steps of a reply.

A step is bytes, to be sent, or one of these. They stand between `service.py` and `files.py`, which
say what is to be done, and `drivers/`, which do it, each with its own way to wait.
"""

from __future__ import annotations

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO


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


TURN = Wait(0)
"""A step: let the others on an event loop have their turn."""


class CutShort(OSError):  # noqa: N818 - it says what happened to the frame
    """The bytes that a header has promised cannot be sent: the connection is to be reset."""


if TYPE_CHECKING:
    Step = bytes | Wait | SendFile
