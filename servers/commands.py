"""The commands that a server runs for its peers: which, and how many at a time.

A peer says the name of a command and nothing else: program and arguments are the server's own
(`--exec`), and no shell comes between. What comes of one is in servers/command.py.
"""

from __future__ import annotations

__all__ = ["Commands", "by_name", "commands_of"]

import os

from servers.command import Command
from servers.places import NoPlace, Places
from servers.protocol import ERROR, BodyError, CommandsBusyError, NoCommandError, frame
from servers.steps import Run

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from servers.steps import Step

    Programs = dict[str, tuple[str, ...]]

COMMANDS_PER_CPU = 4
COMMAND_NAME_BYTES = 255


def program_of(value: str) -> tuple[str, tuple[str, ...]]:
    """Return the name and the program of "NAME=/PATH,ARGUMENT,..."; ValueError if it is no such."""
    name, equals, rest = value.partition("=")
    argv = tuple(rest.split(","))
    if not (name and equals and argv[0].startswith("/")) or "\0" in value:
        raise ValueError("must be NAME=/PATH, and ,ARGUMENT for each that it has")
    if len(os.fsencode(name)) > COMMAND_NAME_BYTES or not name.isprintable():
        raise ValueError(f"needs a printable name of at most {COMMAND_NAME_BYTES} bytes")
    return name, argv


def by_name(values: list[str]) -> Programs:
    """Return the programs that these name; ValueError when a name stands twice, too."""
    programs = dict(program_of(value) for value in values)
    if len(programs) < len(values):
        raise ValueError("must not name a command twice")
    return programs


class Commands:
    """The commands of a server, by name."""

    def __init__(self, programs: Programs, at_once: int, limit: int) -> None:
        """Run `at_once` of them at a time, over all processes, 0: any number.

        `limit` is that on the body of a frame. OSError when the running cannot be counted.
        """
        self._programs = programs
        self._limit = limit
        self._places = Places(at_once, "commands")

    def answer(self, tag: int, body: bytes) -> Generator[Step, None, None]:
        """Return the steps of the answer to an EXEC; RequestError when there can be none."""
        try:
            name = body.decode()
        except UnicodeDecodeError:
            raise BodyError("The name is not UTF-8.") from None
        if (argv := self._programs.get(name)) is None:
            raise NoCommandError("There is no command of this name.")
        return self._steps(tag, argv)

    def _steps(self, tag: int, argv: tuple[str, ...]) -> Generator[Step, None, None]:
        try:
            place = self._places.take()
        except (NoPlace, OSError) as reason:
            words = str(reason) if isinstance(reason, NoPlace) else f"{reason.strerror}: try later."
            yield frame(ERROR, tag, CommandsBusyError(words).body())
            return
        command = Command(tag, self._limit, place)
        try:
            yield Run(argv, command)
            command.leave_place()  # before the peer can know that it has ended, and ask again
            yield command.last_frame()
        finally:
            command.leave_place()


def commands_of(values: list[str], at_once: int | None, limit: int) -> Commands:
    """Return the commands that a command line names; ValueError when it names them wrongly.

    If it does not say how many run at a time, the machine's CPUs do.
    """
    usual = COMMANDS_PER_CPU * (os.cpu_count() or 1)
    return Commands(by_name(values), usual if at_once is None else at_once, limit)
