"""The command lines, run in this process: what they print, and the exit code they come to.

To start an interpreter for every sentence that a user may see costs a second each. That the
sentences also come out of a process of its own is shown once for each command line.
"""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import bench.__main__
import clients.__main__
import servers.__main__


class Done(NamedTuple):
    """How a command has ended; the names are those of subprocess."""

    returncode: int
    stdout: str
    stderr: str


def bench_in_process(*words: object, cwd: Path | None = None) -> Done:
    """Run `python -m bench`, without the process."""
    return _ended(bench.__main__.main, words, cwd)


def clients_in_process(*words: object, cwd: Path | None = None) -> Done:
    """Run `python -m clients`, without the process."""
    return _ended(clients.__main__.main, words, cwd)


def servers_in_process(*words: str) -> Done:
    """Run `python -m servers`, without the process: for command lines that it cannot follow."""
    return _ended(lambda: sys.exit(servers.__main__.main(list(words))), words, None)


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put back what a command does on signals, as the end of its process would."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(main: Callable[[], object], words: tuple[object, ...], cwd: Path | None) -> Done:
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        contextlib.chdir(cwd or "."),
        _handlers_kept(),
        mock.patch.object(sys, "argv", ["program", *map(str, words)]),
    ):
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(code, stdout.getvalue(), stderr.getvalue())
