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

Options:
  --host ADDRESS     listen on this address (127.0.0.1)
  --port NUMBER      and this port; 0 takes a free one (0)
  --workers NUMBER   in a pool ({workers})
  --backlog NUMBER   of connections that may wait to be accepted ({backlog})
  --receive-buffer BYTES
                     of a socket of datagrams, which the kernel doubles (the
                     kernel's own)
  --limit BYTES      in the body of a frame ({limit})
  --idle-timeout SECONDS
                     after which a peer that has sent no whole frame is told so
                     and left (60)
  --write-timeout SECONDS
                     after which a peer that has taken no byte is reset (30);
                     0 waits for ever
  --max-connections NUMBER
                     open at a time; 0: any number (0). What becomes of the
                     others is the model's:
                     told so by
{refusing};
                     left to wait by
{waiting}
  --grace SECONDS    for the open connections to end after a signal; then they
                     are cut ({grace:g})
  --root DIR         offer the files right under this directory, and take new
                     ones (no files)
  --max-upload BYTES in a file that is taken; 0: any number ({upload})
  --max-uploads-at-once NUMBER
                     taken at a time, over all connections; 0: any number
                     ({uploads}). Either way the peer is told so (LIMIT), and its
                     connection goes on
  --switch-interval SECONDS
                     after which a thread lets others have the GIL (0.005, as
                     Python has it)
  --exec NAME=/PATH,ARGUMENT,...
                     run this program for whoever asks for NAME; may be given
                     again (no commands)
  --exec-at-once NUMBER
                     commands at a time, over all connections; 0: any number
                     (4 for each CPU)
  --watch-stdin      end, children and all, as soon as standard input ends or
                     has anything to say
  --help

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
