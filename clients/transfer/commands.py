"""`python -m clients get | put | list`: the file client's command line.

A bar with the rate while a terminal watches, one line when all is done, and an exit code that says
whose fault it was (`clients.transfer.errors`): 1 the server's, 2 the user's, 3 this machine's.

A signal that asks for the end is raised as an exception wherever the transfer is, so that nothing
of it is left; the exit code is the shell's for it, 128 and its number.
"""

from __future__ import annotations

__all__ = ["app", "fill_standard_descriptors"]

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from clients import address
from clients.transfer import client as transfer
from clients.transfer.client import Progress, Transferred
from clients.transfer.errors import MachineError, TransferError, UserError
from reports.untrusted import for_terminal

MIB = 2**20
STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
SENTENCE_CHARACTERS = 1000
"""Of an error; the server's words in it have a bound of their own."""
NAME_CHARACTERS = 1024
"""All that a name may have, each character escaped."""
STDERR = 2
PULSE_SECONDS = 0.25
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

EXIT_CODES = (
    "Exit codes: 0 done, 1 the server refused or failed, 2 the request cannot be, "
    "3 this machine could not do it (disk full), 129, 130 and 143 ended by SIGHUP, SIGINT and "
    "SIGTERM."
)

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=EXIT_CODES
)


class Stopped(BaseException):
    """A signal asks for the end. No Exception: nothing that recovers may stop it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@app.callback()
def _files() -> None:
    """Move files to and from a server, all bytes checked."""


def _epilog(*commands: str) -> str:
    """Return the lines that end a command's help; the backspaces keep them as they are."""
    lines = ["\b", "Examples:", *(f"  python -m clients {each}" for each in commands)]
    return "\n".join(lines) + f"\n\n{EXIT_CODES}"


def size_in_bytes(text: str) -> int:
    """Return the bytes that "1000", "10MB" or "10MiB" means."""
    match = re.fullmatch(r"([0-9]{1,19})\s*([kmgt]?i?)b?", text.strip().lower())
    unit = (UNITS | BINARY_UNITS).get(match[2]) if match else None
    if match is None or unit is None:
        raise typer.BadParameter(f"{text!r} is no size such as 1000, 10MB or 10MiB.")
    return int(match[1]) * unit


Target = Annotated[
    str, typer.Argument(metavar="HOST:PORT", help="Ask this server; [ADDRESS]:PORT with IPv6.")
]
Timeout = Annotated[
    float,
    typer.Option(min=0, max=10**7, help="Give up when all of it takes more seconds; 0: never."),
]
IdleTimeout = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=3600,
        help="Give up when the server says and takes nothing for so many seconds.",
    ),
]
MaxSize = Annotated[
    int,
    typer.Option(
        parser=size_in_bytes,
        metavar="SIZE",
        help="Fetch no file of more bytes, such as 1000 or 10MiB; 0: any size.",
    ),
]


@app.command(epilog=_epilog("get 127.0.0.1:4000 video.mp4", "get 127.0.0.1:4000 notes -o /tmp/n"))
def get(
    target: Target,
    name: Annotated[str, typer.Argument(help="Fetch this file, as the server calls it.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write to this file; to the same name in this folder if not told.",
        ),
    ] = None,
    max_size: MaxSize = "64GiB",  # type: ignore[assignment]  # what the parser is given
    timeout: Timeout = 0.0,
    idle_timeout: IdleTimeout = transfer.IDLE_SECONDS,
) -> None:
    """Fetch a file. It appears under its name once it is whole and its digest is right."""
    with _one_sentence():
        host, port = _split(target)
        destination = output or Path(Path(name).name)
        if destination == Path("-"):
            raise UserError("What was written to standard output could not be taken back: use -o.")
        started = time.monotonic()
        with _progress(name) as progress:
            got = transfer.get(
                host,
                port,
                name,
                destination,
                idle_seconds=idle_timeout,
                total_seconds=timeout,
                most_bytes=max_size,
                progress=progress,
            )
        _report("got", got, f" as {_shown(str(destination))}", time.monotonic() - started)


@app.command(
    epilog=_epilog("put 127.0.0.1:4000 video.mp4", "put 127.0.0.1:4000 /tmp/n --name notes")
)
def put(
    target: Target,
    path: Annotated[Path, typer.Argument(help="Send this file.")],
    name: Annotated[str, typer.Option(help="Call it this there; by its own name if empty.")] = "",
    timeout: Timeout = 0.0,
    idle_timeout: IdleTimeout = transfer.IDLE_SECONDS,
) -> None:
    """Send a file. The server has it, whole, before this ends well."""
    with _one_sentence():
        host, port = _split(target)
        started = time.monotonic()
        with _progress(name or path.name) as progress:
            sent = transfer.put(
                host,
                port,
                path,
                name,
                idle_seconds=idle_timeout,
                total_seconds=timeout,
                progress=progress,
            )
        _report("put", sent, "", time.monotonic() - started)


@app.command("list", epilog=_epilog("list 127.0.0.1:4000", "list 127.0.0.1:4000 --json"))
def list_(
    target: Target,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    timeout: Timeout = 0.0,
    idle_timeout: IdleTimeout = transfer.IDLE_SECONDS,
) -> None:
    """List a server's files: bytes and name."""
    with _one_sentence():
        host, port = _split(target)
        files = transfer.list_files(host, port, idle_seconds=idle_timeout, total_seconds=timeout)
        if as_json:
            _print(json.dumps([file._asdict() for file in files]))
        else:
            _print(*(f"{file.size:15,}  {_shown(file.name)}" for file in files))


def _split(target: str) -> tuple[str, int]:
    try:
        return address.split(target)
    except ValueError as error:
        raise UserError(f"{error}.") from error


def _shown(name: str) -> str:
    """Return a name as a terminal may be given it; a peer may call a file anything."""
    return for_terminal(name, NAME_CHARACTERS)


def _report(verb: str, file: Transferred, where: str, seconds: float) -> None:
    rate = f"{file.size / MIB / seconds:,.1f} MiB/s"
    _print(
        f"{verb} {_shown(file.name)}{where}: {file.size:,} B in {seconds:.2f} s, {rate},"
        f" sha256 {file.sha256}"
    )


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """Give what shows a bar on a terminal, and nothing anywhere else."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _moved, _size: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(_shown(name)), total=None)
        yield lambda moved, size: bar.update(task, completed=moved, total=size)


def _print(*lines: str) -> None:
    """Write lines to standard output; MachineError when it does not take them."""
    if sys.stdout is None:
        raise MachineError("Standard output is closed.")
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError as error:
        # Else the interpreter tries once more, and complains, when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise MachineError(f"Standard output: {error.strerror}.") from error


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn a failure into its sentence and its exit code."""
    fill_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whose locale may know less than a name has
            stream.reconfigure(errors="backslashreplace")
    stopped: list[Stopped] = []
    try:
        with _raising_on_signals(stopped):
            yield
    except TransferError as error:
        if sys.stderr is not None:  # print() would take standard output instead
            print(f"clients: {for_terminal(str(error), SENTENCE_CHARACTERS)}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    except BaseException:
        if not stopped:
            raise
        # Or what came of it: a bar cannot be wiped off a terminal that has gone. To say so to one
        # fails, too, and the interpreter's own end would try again what is left in its buffers.
        with contextlib.suppress(OSError):
            os.write(STDERR, b"clients: interrupted; nothing was left half done.\n")
        os._exit(stopped[0].exit_code)


def fill_standard_descriptors() -> None:
    """Put /dev/null where one is closed, lest a file or a socket get its number, and our words."""
    for descriptor in range(STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


@contextlib.contextmanager
def _raising_on_signals(stopped: list[Stopped]) -> Iterator[None]:
    """Raise Stopped at the first signal, and keep it in the list; ignore what comes after."""

    def stop(number: int, _frame: FrameType | None) -> None:
        if not stopped:
            stopped.append(Stopped(number))
            raise stopped[0]

    handlers = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)
    # A signal has no effect before the system call returns if it comes just before that, or if the
    # kernel has given it to another thread. So a timer interrupts the main thread now and then.
    handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, PULSE_SECONDS, PULSE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not stopped:
            for number, handler in handlers.items():
                signal.signal(number, handler)
