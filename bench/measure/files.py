"""The folder that a server serves files from while it is measured."""

from __future__ import annotations

__all__ = ["root_of"]

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clients.engine.exchange import file_content, file_name
from reports.load import Load


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
