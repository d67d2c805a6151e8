"""MODELS: the one list of what can be served and compared."""

from __future__ import annotations

__all__ = ["FAMILIES", "MODELS", "Model", "UnknownModel", "find", "names", "over"]

import os
from collections import namedtuple

CPUS = os.cpu_count() or 1
"""Of this machine, whatever part of it a server may use: as many processes have the hybrids."""

FAMILIES = (
    "sequential",
    "threads",
    "processes",
    "hybrid",
    "event loop",
    "coroutines",
    "greenlets",
    "interpreters",
    "datagrams",
)
"""What models are grouped by, for colours, choice and reading; in the order of reading."""

Model = namedtuple(
    "Model",
    "name title family module entry options transport unit workers serves needs python when_full"
    " early",
    defaults=("serve", (), "tcp", "connection", 0, "many", (), (3, 11), "busy", False),
)
"""A row: what a reader needs to judge a model, and a program to start it.

name       what users call it
title      the model in one sentence
family     one of FAMILIES
module     its file in servers/models/
entry      the function in that file which serves
options    what it is given by name beside the usual: pairs, since a row is never changed
transport  "tcp" or "udp"
unit       what a worker is given: "connection" or "request"
workers    as many as there are unless told; 0: it takes no --workers
serves     how many connections at a time: "one", as many as it has "workers", or "many"; "dealt":
           one worker each, but the kernel has dealt them out, whether that one is free or not
needs      distributions to install
python     the oldest version that runs it
when_full  what becomes of a connection beyond --max-connections: it is told so ("busy"), or it
           waits to be accepted ("backlog"), as it does anyway where workers take one at a time;
           of datagrams there are no connections, and the kernel drops what finds no room ("drop")
early      whether to import its file before any socket of ours, for what that changes
"""

MODELS: tuple[Model, ...] = (
    Model(
        "serial",
        "One connection after another, in one thread.",
        "sequential",
        "serial",
        serves="one",
        when_full="backlog",
    ),
    Model("thread", "A thread per connection.", "threads", "thread"),
    Model("process", "A process per connection, forked.", "processes", "process"),
    Model(
        "socketserver",
        "The standard library's ThreadingTCPServer.",
        "threads",
        "socketserver",
    ),
    Model(
        "forking",
        "The standard library's ForkingTCPServer.",
        "processes",
        "socketserver",
        options=(("forks", True),),
    ),
    Model(
        "thread-pool",
        "Threads that take a connection each.",
        "threads",
        "thread_pool",
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "prethread",
        "Threads that accept from one socket and serve a connection at a time each.",
        "threads",
        "prethread",
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "process-pool",
        "Processes that take a connection each.",
        "processes",
        "process_pool",
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "process-pool-spawn",
        "The same, with processes that start as fresh interpreters.",
        "processes",
        "process_pool",
        options=(("method", "spawn"),),
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "process-pool-forkserver",
        "The same, with processes forked from a fresh interpreter.",
        "processes",
        "process_pool",
        options=(("method", "forkserver"),),
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "prefork",
        "Processes that accept from one socket, and serve one connection at a time.",
        "processes",
        "prefork",
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "prefork-reuseport",
        "Processes that accept from a socket each, and serve one at a time.",
        "processes",
        "prefork",
        options=(("own_sockets", True),),
        workers=64,
        serves="dealt",
        when_full="backlog",
    ),
    Model(
        "prefork-threads",
        "A process per CPU, with threads that accept and serve a connection each.",
        "hybrid",
        "prefork",
        options=(("processes", CPUS),),
        workers=64,
        serves="workers",
        when_full="backlog",
    ),
    Model(
        "prefork-asyncio",
        "A process per CPU with an asyncio loop, which accept from one socket.",
        "hybrid",
        "prefork",
        options=(("loop", "asyncio"),),
        workers=CPUS,
    ),
    Model(
        "prefork-uvloop",
        "A process per CPU with a loop of uvloop, which accept from one socket.",
        "hybrid",
        "prefork",
        options=(("loop", "uvloop"),),
        workers=CPUS,
        needs=("uvloop",),
    ),
    Model(
        "thread-loops",
        "A thread per CPU with an asyncio loop; another accepts and hands over.",
        "hybrid",
        "thread_loops",
        workers=CPUS,
    ),
    Model(
        "asyncio-threads",
        "asyncio's streams, and COMPUTE handed to a pool of threads.",
        "hybrid",
        "asyncio_threads",
        unit="request",
        workers=64,
    ),
    Model(
        "asyncio-processes",
        "asyncio's streams, and COMPUTE handed to a pool of processes.",
        "hybrid",
        "asyncio_processes",
        unit="request",
        workers=CPUS,
    ),
    Model(
        "coroutine",
        "Generators on a scheduler of our own, in one thread.",
        "coroutines",
        "coroutine",
    ),
    Model(
        "reactor",
        "Callbacks from a loop over the standard library's selectors.",
        "coroutines",
        "reactor",
    ),
    Model(
        "epoll",
        "Callbacks from epoll itself: the edge of what plain Python can do.",
        "coroutines",
        "epoll",
    ),
    Model(
        "asyncio",
        "The standard library's asyncio streams, in one thread.",
        "event loop",
        "asyncio",
    ),
    Model(
        "asyncio-eager",
        "asyncio's streams with tasks that begin at once, before the next turn.",
        "event loop",
        "asyncio",
        options=(("eager", True),),
        python=(3, 12),
    ),
    Model(
        "asyncio-protocol",
        "asyncio's callbacks, without streams.",
        "event loop",
        "asyncio_callbacks",
    ),
    Model(
        "asyncio-buffered",
        "asyncio's callbacks, receiving into one buffer.",
        "event loop",
        "asyncio_callbacks",
        options=(("buffered", True),),
    ),
    Model(
        "asyncio-sock",
        "asyncio's loop.sock_recv and sock_sendall, without transports.",
        "event loop",
        "asyncio_sock",
    ),
    Model(
        "uvloop",
        "asyncio's streams on uvloop.",
        "event loop",
        "asyncio_streams",
        options=(("loop", "uvloop"),),
        needs=("uvloop",),
    ),
    Model(
        "uvloop-protocol",
        "asyncio's callbacks on uvloop.",
        "event loop",
        "asyncio_callbacks",
        options=(("loop", "uvloop"),),
        needs=("uvloop",),
    ),
    Model(
        "uvloop-buffered",
        "asyncio's callbacks on uvloop, receiving into one buffer.",
        "event loop",
        "asyncio_callbacks",
        options=(("loop", "uvloop"), ("buffered", True)),
        needs=("uvloop",),
    ),
    Model(
        "trio",
        "A trio task per connection, in one nursery.",
        "event loop",
        "trio",
        needs=("trio",),
    ),
    Model(
        "anyio",
        "A task per connection in one task group of anyio, which is a layer on asyncio's loop.",
        "event loop",
        "anyio",
        needs=("anyio",),
    ),
    Model(
        "tornado",
        "Callbacks from Tornado's IOLoop, which is a layer on asyncio's, to sockets of our own.",
        "event loop",
        "tornado",
        needs=("tornado",),
    ),
    Model(
        "twisted",
        "Twisted's callbacks, on its own epoll reactor.",
        "event loop",
        "twisted",
        needs=("twisted",),
    ),
    Model(
        "gevent",
        "A greenlet per connection: gevent's StreamServer, nothing patched.",
        "greenlets",
        "gevent",
        needs=("gevent",),
    ),
    Model(
        "gevent-patched",
        "The file of `thread`, whose threads are greenlets: gevent has patched all.",
        "greenlets",
        "patched",
        options=(("model", "thread"),),
        needs=("gevent",),
        early=True,
    ),
    Model(
        "udp",
        "One datagram after another, in one thread.",
        "datagrams",
        "udp",
        transport="udp",
        unit="request",
        when_full="drop",
    ),
    Model(
        "udp-socketserver",
        "The standard library's ThreadingUDPServer: a thread per datagram.",
        "datagrams",
        "udp_socketserver",
        transport="udp",
        unit="request",
        when_full="drop",
    ),
    Model(
        "udp-thread-pool",
        "Threads that take a datagram each.",
        "datagrams",
        "udp_thread_pool",
        transport="udp",
        unit="request",
        workers=64,
        when_full="drop",
    ),
    Model(
        "udp-asyncio",
        "The standard library's asyncio with a DatagramProtocol, in one thread.",
        "datagrams",
        "udp_asyncio",
        transport="udp",
        unit="request",
        when_full="drop",
    ),
    Model(
        "udp-reactor",
        "A loop over a selector and a heap of timers, in one thread.",
        "datagrams",
        "udp_reactor",
        transport="udp",
        unit="request",
        when_full="drop",
    ),
    Model(
        "udp-reuseport",
        "Processes with a socket each, among which the kernel deals the senders out.",
        "datagrams",
        "udp_reuseport",
        transport="udp",
        unit="request",
        workers=2,
        when_full="drop",
    ),
    Model(
        "udp-batch",
        "All datagrams that have come, then their answers; Python has no recvmmsg().",
        "datagrams",
        "udp_batch",
        transport="udp",
        unit="request",
        when_full="drop",
    ),
)


class UnknownModel(LookupError):  # noqa: N818 - it says what was asked for
    """No model of this name; `nearest` is the likeliest one meant, or empty."""

    exit_code = 2  # of a command that was given the name

    def __init__(self, name: str, nearest: str) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(names())}."
        super().__init__(f"There is no model {name!r}; {hint}")
        self.name = name
        self.nearest = nearest


def names() -> tuple[str, ...]:
    """Return the names of all models, in the order of the list."""
    return tuple(model.name for model in MODELS)


def over(transport: str) -> tuple[Model, ...]:
    """Return the models that serve "tcp" or "udp", in the order of the list."""
    return tuple(model for model in MODELS if model.transport == transport)


def find(name: str) -> Model:
    """Return the model of this name; UnknownModel when there is none."""
    for model in MODELS:
        if model.name == name:
            return model
    from difflib import get_close_matches  # not in a server process that has nothing to ask

    raise UnknownModel(name, next(iter(get_close_matches(name, names(), n=1)), ""))
