"""How a conversation is carried out: one driver for each way to wait."""

from __future__ import annotations

__all__ = ["RECEIVE_BYTES", "read_piece"]

import os

from servers.steps import CutShort

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from servers.steps import SendFile

RECEIVE_BYTES = 65_536
"""How much a driver receives at a time."""


def read_piece(step: SendFile) -> bytes:
    """Return what is to be sent of a file, where the kernel cannot send it itself; or CutShort."""
    try:
        piece = os.pread(step.file.fileno(), step.count, step.offset)
    except OSError as error:
        raise CutShort from error
    if len(piece) < step.count:
        raise CutShort
    return piece
