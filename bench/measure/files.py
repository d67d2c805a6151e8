"""What a server is given for the requests that it is measured with: a folder, a command."""

from __future__ import annotations

__all__ = ["programs_of", "root_of"]

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clients.engine.exchange import COMMAND, file_content, file_name
from reports.load import Load

DOES_NOTHING = "/bin/true"
"""The least that a process can cost: it starts and ends."""


@contextlib.contextmanager
def root_of(load: Load) -> Iterator[str]:
    """Give a new folder with what the requests need in it; empty when they are not about files.

    It is where the system keeps temporary files (TMPDIR), and is gone afterwards. A GET finds
    its file there, a PUT nothing.
    """
    if not load.file_bytes:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="threadmill-") as folder:
        if load.kind == "GET":
            with (Path(folder) / file_name(load.file_bytes)).open("wb") as file:
                file.writelines(file_content(load.file_bytes))
        yield folder


def programs_of(load: Load) -> tuple[str, ...]:
    """Return what the server is to run for whoever asks, as its --exec takes it."""
    return (f"{COMMAND}={DOES_NOTHING}",) if load.kind == "EXEC" else ()
