"""What the kernel itself counts of datagrams: those without room, and fragments.

`/proc/net/udp` has a line for each socket of this network namespace, with its own count of drops
(`sk_drops`); `/proc/net/snmp` has sums over all of them. Both only ever grow, so a difference is
what happened in between.
"""

from __future__ import annotations

__all__ = ["COUNTED", "Counters", "Queue", "counters", "queue_of"]

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

NET = Path("/proc/net")
LISTENING = "07"
"""The state of a socket that is bound and has no peer, as a server's."""


class Queue(NamedTuple):
    """What waits in the sockets that are bound to a port, and what found no room there."""

    waiting_bytes: int  # as the kernel counts them, its bookkeeping included
    drops: int
    sockets: int


Counters = dict[str, int]
"""Sums over a network namespace, by the kernel's names for them (NAMES)."""

NAMES = {
    "RcvbufErrors": "Udp",  # datagrams that found no room in a socket's buffer
    "SndbufErrors": "Udp",
    "FragCreates": "Ip",  # fragments made
    "ReasmReqds": "Ip",  # fragments taken
    "ReasmOKs": "Ip",  # datagrams put together again
    "ReasmFails": "Ip",
}
"""What is counted, and the protocol that counts it."""


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
    return {name: found[protocol, name] for name, protocol in NAMES.items()}


def _reading(pid: int, port: int) -> Counters:
    """Return this namespace's sums and, as far as it is another, those of a server's."""
    there = Path(f"/proc/{pid}/net")
    is_elsewhere = not Path(f"/proc/{pid}/ns/net").samefile("/proc/self/ns/net")
    theirs = counters((there / "snmp").read_text()) if is_elsewhere else {}
    return {
        **counters(),
        **{f"server_{name}": count for name, count in theirs.items()},
        "server_sk_drops": queue_of(port, (there / "udp").read_text()).drops,
    }


def _from_now(pid: int, port: int) -> Callable[[], Counters]:
    """Return what tells, when it is called, what has been counted since."""
    before = _reading(pid, port)

    def since() -> Counters:
        after = _reading(pid, port)
        return {name: count - before[name] for name, count in after.items()}

    return since


COUNTED: Mapping[str, Callable[[int, int], Callable[[], Counters]]] = {
    "tcp": lambda _pid, _port: dict,
    "udp": _from_now,
}
"""By transport: begins to count what the kernel does for a server, of this id and at this port."""
