"""What the kernel itself counts of datagrams: those without room, and fragments.

`/proc/net/udp` has a line for each socket of this network namespace, with its own count of drops
(`sk_drops`); `/proc/net/snmp` has sums over all of them. Both only ever grow, so a difference is
what happened in between.
"""

from __future__ import annotations

__all__ = ["Counters", "Queue", "counters", "queue_of"]

from pathlib import Path
from typing import NamedTuple, Self

NET = Path("/proc/net")
LISTENING = "07"
"""The state of a socket that is bound and has no peer, as a server's."""


class Queue(NamedTuple):
    """What waits in the sockets that are bound to a port, and what found no room there."""

    waiting_bytes: int  # as the kernel counts them, its bookkeeping included
    drops: int
    sockets: int


class Counters(NamedTuple):
    """Sums over a network namespace."""

    received: int  # InDatagrams
    sent: int  # OutDatagrams
    receive_errors: int  # RcvbufErrors: no room in a socket's buffer
    send_errors: int  # SndbufErrors
    fragments_made: int  # FragCreates
    fragments_taken: int  # ReasmReqds
    reassembled: int  # ReasmOKs
    reassembly_failures: int  # ReasmFails

    def since(self, before: Self) -> Self:
        """Return what happened since an earlier reading."""
        return type(self)(*(now - then for now, then in zip(self, before, strict=True)))


NAMES = (
    ("Udp", "InDatagrams"),
    ("Udp", "OutDatagrams"),
    ("Udp", "RcvbufErrors"),
    ("Udp", "SndbufErrors"),
    ("Ip", "FragCreates"),
    ("Ip", "ReasmReqds"),
    ("Ip", "ReasmOKs"),
    ("Ip", "ReasmFails"),
)


def queue_of(port: int, table: str | None = None) -> Queue:
    """Return the state of a server's sockets; `table` is what /proc/net/udp says, or said."""
    text = (NET / "udp").read_text() if table is None else table
    waiting = drops = sockets = 0
    for line in text.splitlines()[1:]:
        _, local, _, state, queues, *rest = line.split()
        if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
            waiting += int(queues.rpartition(":")[2], 16)
            drops += int(rest[-1])
            sockets += 1
    return Queue(waiting, drops, sockets)


def counters(table: str | None = None) -> Counters:
    """Return the sums; `table` is what /proc/net/snmp says, or said."""
    lines = ((NET / "snmp").read_text() if table is None else table).splitlines()
    # Each protocol has a line of names and a line of numbers.
    found = {
        (names.partition(":")[0], name): int(number)
        for names, numbers in zip(lines[::2], lines[1::2], strict=True)
        for name, number in zip(names.split()[1:], numbers.split()[1:], strict=True)
    }
    return Counters(*(found[name] for name in NAMES))
