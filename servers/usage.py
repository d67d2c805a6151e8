"""What `python -m servers --help` says.

A module of its own, so that a server that serves neither reads the text nor imports textwrap.
"""

from __future__ import annotations

__all__ = ["usage"]

from textwrap import fill

from servers.catalog import MODELS, names
from servers.life.endpoint import DEFAULT_BACKLOG
from servers.life.stopping import GRACE_SECONDS
from servers.protocol import DEFAULT_LIMIT
from servers.service import MOST_UPLOAD_BYTES, MOST_UPLOADS_AT_ONCE

COLUMNS = 79  # a terminal has 80

USAGE = """\
Usage: python -m servers MODEL [OPTION VALUE]...

Serve with one concurrency model until SIGTERM or SIGINT. The first line of
output is a JSON object with the host and the port; the last one says whether
the GIL was on at the end.

Models:
{models}

Options (the default stands in brackets):
  --host ADDRESS     Listen on this address (127.0.0.1).
  --port NUMBER      Listen on this port; 0 takes a free one (0).
  --workers NUMBER   Have so many threads or processes in a pool ({workers}).
  --backlog NUMBER   Let so many connections wait to be accepted ({backlog}).
  --receive-buffer BYTES
                     Have the kernel keep so many bytes of datagrams, which it
                     doubles (the kernel's own number).
  --limit BYTES      Take so many bytes in the body of a frame ({limit}).
  --idle-timeout SECONDS
                     Leave a peer, and tell it so, that has sent no whole frame
                     for so long (60).
  --write-timeout SECONDS
                     Reset a peer that has taken no byte for so long; 0 waits
                     for ever (30).
  --max-connections NUMBER
                     Have so many connections open at a time; 0: any number
                     (0). What becomes of the others is the model's. They are
                     told so by
{refusing}.
                     They are left to wait by
{waiting}.
  --grace SECONDS    Cut open connections that have not ended so long after a
                     signal ({grace:g}).
  --root DIR         Offer the files right under this directory, and take new
                     ones (no files).
  --max-upload BYTES Take so many bytes in a file; 0: any number ({upload}).
                     The peer is told so (LIMIT), and its connection goes on.
  --max-uploads-at-once NUMBER
                     Take so many files at a time, over all connections; 0: any
                     number ({uploads}). The peer is told so as well.
  --switch-interval SECONDS
                     Let other threads have the GIL after so long (0.005, as
                     Python has it).
  --exec NAME=/PATH,ARGUMENT,...
                     Run this program for whoever asks for NAME; may be given
                     again (no commands).
  --exec-at-once NUMBER
                     Run so many commands at a time, over all connections; 0:
                     any number (4 for each CPU).
  --watch-stdin      End, children and all, as soon as standard input ends or
                     has anything to say.
  --help             Show this message and exit.

Examples:
  python -m servers thread --port 8000
  python -m servers process-pool --workers 8 --host 0.0.0.0
  python -m servers asyncio --port 8000 --root shared
  python -m servers asyncio --idle-timeout 5 --max-connections 1000
  python -m servers thread --port 8000 --exec uptime=/usr/bin/uptime,-p
"""


def usage() -> str:
    """Return the text of --help."""

    def lines(text: str, indent: int, first: str = "") -> str:
        space = " " * indent
        begin = first.ljust(indent)
        return fill(
            text, COLUMNS, initial_indent=begin, subsequent_indent=space, break_on_hyphens=False
        )

    def those(when_full: str) -> str:
        return lines(", ".join(each.name for each in MODELS if each.when_full == when_full), 21)

    width = max(map(len, names())) + 3
    return USAGE.format(
        models="\n".join(lines(model.title, width, f"  {model.name}") for model in MODELS),
        workers=max(model.workers for model in MODELS),
        backlog=DEFAULT_BACKLOG,
        limit=DEFAULT_LIMIT,
        grace=GRACE_SECONDS,
        upload=MOST_UPLOAD_BYTES,
        uploads=MOST_UPLOADS_AT_ONCE,
        refusing=those("busy"),
        waiting=those("backlog"),
    )
