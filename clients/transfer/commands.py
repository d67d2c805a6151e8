"""`python -m clients get | put | list`: the file client's command line.

A bar with the rate while a terminal watches, one line when all is done, and an exit code that says
whose fault it was (`clients.transfer.client`): 1 the server's, 2 the user's, 3 this machine's.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from clients import address
from clients.transfer import client as transfer
from clients.transfer.client import Progress, TransferError, Transferred, UserError

INTERRUPTED = 130
MIB = 2**20

EXIT_CODES = (
    "Exit codes: 0 done, 1 the server refused or failed, 2 the request cannot be, "
    "3 this machine could not do it (disk full), 130 interrupted."
)

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=EXIT_CODES
)


@app.callback()
def _files() -> None:
    """Move files to and from a server, every byte checked against its digest."""


def _epilog(*commands: str) -> str:
    """Return the lines that end a command's help; the backspaces keep them as they are."""
    lines = ["\b", "Examples:", *(f"  python -m clients {each}" for each in commands)]
    return "\n".join(lines) + f"\n\n{EXIT_CODES}"


Target = Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server.")]
Timeout = Annotated[
    float, typer.Option(min=0.001, max=3600, help="Seconds that the server may say nothing.")
]


@app.command(epilog=_epilog("get 127.0.0.1:4000 video.mp4", "get 127.0.0.1:4000 notes -o /tmp/n"))
def get(
    target: Target,
    name: Annotated[str, typer.Argument(help="The file, as the server calls it.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to; the same name in this folder if not told."),
    ] = None,
    timeout: Timeout = transfer.TIMEOUT_SECONDS,
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
                host, port, name, destination, timeout_seconds=timeout, progress=progress
            )
        _report("got", got, f" as {destination}", time.monotonic() - started)


@app.command(
    epilog=_epilog("put 127.0.0.1:4000 video.mp4", "put 127.0.0.1:4000 /tmp/n --name notes")
)
def put(
    target: Target,
    path: Annotated[Path, typer.Argument(help="The file to send.")],
    name: Annotated[str, typer.Option(help="What to call it there; its own name if empty.")] = "",
    timeout: Timeout = transfer.TIMEOUT_SECONDS,
) -> None:
    """Send a file. The server has it, whole, before this ends well."""
    with _one_sentence():
        host, port = _split(target)
        started = time.monotonic()
        with _progress(name or path.name) as progress:
            sent = transfer.put(host, port, path, name, timeout_seconds=timeout, progress=progress)
        _report("put", sent, "", time.monotonic() - started)


@app.command("list", epilog=_epilog("list 127.0.0.1:4000", "list 127.0.0.1:4000 --json"))
def list_(
    target: Target,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    timeout: Timeout = transfer.TIMEOUT_SECONDS,
) -> None:
    """List a server's files: bytes and name."""
    with _one_sentence():
        host, port = _split(target)
        files = transfer.list_files(host, port, timeout_seconds=timeout)
        if as_json:
            print(json.dumps([file._asdict() for file in files]))
            return
        for file in files:
            print(f"{file.size:15,}  {_shown(file.name)}")


def _split(target: str) -> tuple[str, int]:
    try:
        return address.split(target)
    except ValueError as error:
        raise UserError(f"{error}.") from error


def _shown(name: str) -> str:
    """Return a name as a terminal may be given it; a peer may call a file anything."""
    return name if name.isprintable() else ascii(name)


def _report(verb: str, file: Transferred, where: str, seconds: float) -> None:
    rate = f"{file.size / MIB / seconds:,.1f} MiB/s"
    print(
        f"{verb} {_shown(file.name)}{where}: {file.size:,} B in {seconds:.2f} s, {rate},"
        f" sha256 {file.sha256}"
    )


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """Give what shows a bar on a terminal, and nothing anywhere else."""
    if not sys.stderr.isatty():
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


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn a failure into its sentence and its exit code; a SIGTERM ends like a Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except TransferError as error:
        print(f"clients: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        print("clients: interrupted; nothing was left behind.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
