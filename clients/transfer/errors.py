"""What can go wrong with a transfer, by whose fault it is: each is for somebody else to mend.

TransferError
 ├── PeerError       the server refused, broke the rules, or went away
 ├── UserError       what was asked for cannot be: no such file, no such host
 └── MachineError    this machine could not do it: a full disk
"""

from __future__ import annotations

__all__ = ["MachineError", "PeerError", "TransferError", "UserError"]


class TransferError(Exception):
    """A transfer that did not happen; the message is one sentence, the code the command's exit."""

    exit_code: int


class PeerError(TransferError):
    """The server refused, broke the rules, or went away."""

    exit_code = 1


class UserError(TransferError):
    """What was asked for cannot be."""

    exit_code = 2


class MachineError(TransferError):
    """This machine could not do it."""

    exit_code = 3
