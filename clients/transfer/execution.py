"""`python -m clients exec HOST:PORT NAME`: have a server run one of its commands.

Its output and its standard error come out here as they are, for they are meant for programs, too;
but on a terminal nothing that they have in them is obeyed. The exit code is the command's: 128 and
the number of a signal that ended it. What keeps a command from an end of its own is a failure of
the server's (125), the user's or this machine's, as env and docker have it.
"""

from __future__ import annotations

__all__ = ["Ended", "app", "run"]

import codecs
import hashlib
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from clients import address
from clients.transfer.answers import text_of, value_of
from clients.transfer.client import IDLE_SECONDS
from clients.transfer.commands import fill_standard_descriptors
from clients.transfer.conversation import TAG, Conversation, Patience
from clients.transfer.errors import MachineError, PeerError, TransferError, UserError
from reports.untrusted import for_terminal, visible
from servers.protocol import ANSWER, DATA, DEFAULT_LIMIT, EXEC, frame

STDOUT, STDERR = 1, 2
FAILED = 125
"""The exit code when there is none of a command's."""
SENTENCE_CHARACTERS = 1000
MOST_CODE = 255
LAID_OUT = {"\n", "\t"}
"""What a terminal may obey."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int
    signal: int  # that ended it, or 0
    stderr: str
    is_cut: bool  # its output or its standard error has been more


def run(
    host: str,
    port: int,
    name: str,
    write: Callable[[bytes], None],
    *,
    idle_seconds: float = IDLE_SECONDS,
    total_seconds: float = 0.0,
) -> Ended:
    """Have a server run the command `name`, and `write` what it does; TransferError."""
    try:
        request = frame(EXEC, TAG, name.encode())
    except UnicodeEncodeError as error:
        raise UserError(f"The name {name!r} is not UTF-8.") from error
    digest = hashlib.sha256()
    with Conversation(host, port, Patience(idle_seconds, total_seconds), DEFAULT_LIMIT) as server:
        server.send(request)
        while True:
            kind, body = server.next()
            if kind != DATA:
                break
            digest.update(body)
            write(body)
    if kind != EXEC | ANSWER:
        raise PeerError(f"The server sent a frame of kind {kind} in the answer of a command.")
    value = value_of(body)
    if text_of(value, "sha256") != digest.hexdigest():
        raise PeerError("The command's output is not what the server's digest is of.")
    return Ended(
        number_of(value, "exit"),
        number_of(value, "signal"),
        text_of(value, "stderr"),
        value.get("cut") is True,
    )


def number_of(value: Any, key: str) -> int:
    """Return a number in a JSON object that an exit code may be."""
    number = value.get(key) if isinstance(value, dict) else None
    if type(number) is not int or not 0 <= number <= MOST_CODE:
        raise PeerError(f"The server sent no {key}.")
    return number


@app.callback()
def _commands() -> None:
    """Have a server run one of its commands."""


@app.command("exec")
def exec_(
    target: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="Ask this server; [ADDRESS]:PORT with IPv6.")
    ],
    name: Annotated[str, typer.Argument(help="Run this command, as the server calls it (--exec).")],
    timeout: Annotated[
        float,
        typer.Option(min=0, max=10**7, help="Give up when all of it takes more seconds; 0: never."),
    ] = 0.0,
) -> None:
    """Run a command of the server's, and exit as it did.

    Its output is printed; 125 says that it did not run.
    """
    fill_standard_descriptors()
    try:
        try:
            host, port = address.split(target)
        except ValueError as error:
            raise UserError(f"{error}.") from error
        ended = run(host, port, name, Writer(STDOUT).write, total_seconds=timeout)
        Writer(STDERR).write(ended.stderr.encode("utf-8", "replace"))
    except TransferError as error:
        print(f"clients: {for_terminal(str(error), SENTENCE_CHARACTERS)}", file=sys.stderr)
        raise typer.Exit(FAILED) from error
    raise typer.Exit(ended.exit_code)


class Writer:
    """Writes what a peer has sent: to a terminal as far as that is harmless, else as it is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Write all of it; MachineError when that cannot be."""
        if self._is_terminal:
            parts = re.split(r"([\n\t])", self._decoder.decode(data))
            data = "".join(part if part in LAID_OUT else visible(part) for part in parts).encode()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise MachineError(f"Cannot write: {error.strerror}.") from error
