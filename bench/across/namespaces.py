"""Hosts on one machine: network namespaces on a switch, each with a card, an address, a way to it.

It takes root, and `ip` and `tc` of iproute2. A host has a network of its own, and may have a
monotonic clock of its own (a time namespace); CPUs and memory it shares with the others. No card of
the machine's own network has any part in it, so addresses are the same every time and meet
nobody's.
Everything is gone afterwards, whatever happened: the namespaces' names carry this process's id.
"""

from __future__ import annotations

__all__ = ["Lan", "NamespaceError", "lan", "reason_against"]

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import TroubleError

NETWORK = "10.213.80"
MTU = 1_500
BURST = "128kb"
"""Of a shaped link: more than a tick of the timer lets through, and than the largest segment that
a card is handed (64 KiB), which the kernel would have to cut up (tc-tbf(8))."""
QUEUE = "20ms"
CLONE_NEWNET = 0x40000000
SWITCH = "switch"


class NamespaceError(TroubleError):
    """Namespaces that cannot be had here; the message is a sentence."""


def reason_against() -> str:
    """Return why this machine has no such hosts, in a sentence; empty when it can have them."""
    if os.geteuid():
        return "network namespaces take root"
    missing = [name for name in ("ip", "tc") if not shutil.which(name)]
    if missing:
        return f"network namespaces take {' and '.join(missing)} of iproute2"
    name = f"tm{os.getpid()}-look"
    try:
        _run(f"ip netns add {name}")
        _run(f"ip -n {name} link add name one type veth peer name other")
    except NamespaceError as error:
        return f"this machine allows none: {error}"
    finally:
        with contextlib.suppress(NamespaceError):  # it was never there
            _run(f"ip netns del {name}")
    return ""


@dataclass(frozen=True, slots=True)
class Lan:
    """Hosts on a switch."""

    names: tuple[str, ...]
    clocks: dict[str, float]  # how far the monotonic clock of some is ahead, in seconds

    def space(self, name: str) -> str:
        """Return the name of a host's network namespace."""
        return f"tm{os.getpid()}-{name}"

    def address(self, name: str) -> str:
        """Return a host's address."""
        return f"{NETWORK}.{self.names.index(name) + 1}"

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return the words before a command that has it run on a host."""
        ahead = self.clocks.get(name)
        clock = () if ahead is None else ("unshare", "--time", "--monotonic", f"{ahead:g}")
        # A clock is its children's: whoever asks for one has to have a child.
        child = ("--fork", "--kill-child") if clock else ()
        return ("ip", "netns", "exec", self.space(name), *clock, *child)

    def cut(self, name: str) -> None:
        """Pull a host's cable."""
        _run(f"ip -n {self.space(SWITCH)} link set dev {name} down")

    def mend(self, name: str) -> None:
        """Plug it in again."""
        _run(f"ip -n {self.space(SWITCH)} link set dev {name} up")

    def shape(self, name: str, mbit: int) -> None:
        """Let so many Mbit/s through to and from a host, and no more; 0: as much as can be."""
        for space, card in ((self.space(SWITCH), name), (self.space(name), "eth0")):
            with contextlib.suppress(NamespaceError):  # it had none
                _run(f"tc -n {space} qdisc del dev {card} root")
            if mbit:
                rate = f"rate {mbit}mbit burst {BURST} latency {QUEUE}"
                _run(f"tc -n {space} qdisc add dev {card} root tbf {rate}")

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Have this thread be on a host: its sockets, and the processes that it starts."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.space(name)}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
            yield
        finally:
            _enter(before)
            os.close(there)
            os.close(before)


@contextlib.contextmanager
def lan(names: Sequence[str], clocks: dict[str, float] | None = None) -> Iterator[Lan]:
    """Make hosts of these names; NamespaceError when this machine does not allow it."""
    if reason := reason_against():
        raise NamespaceError(reason)
    hosts = Lan(tuple(names), clocks or {})
    switch = hosts.space(SWITCH)
    try:
        _run(f"ip netns add {switch}")
        _run(f"ip -n {switch} link add name bridge type bridge")
        _run(f"ip -n {switch} link set dev bridge up")
        for name in names:
            space = hosts.space(name)
            card = f"eth0 mtu {MTU} netns {space}"
            _run(f"ip netns add {space}")
            _run(f"ip -n {switch} link add name {name} mtu {MTU} type veth peer name {card}")
            _run(f"ip -n {switch} link set dev {name} master bridge up")
            _run(f"ip -n {space} addr add {hosts.address(name)}/24 dev eth0")
            _run(f"ip -n {space} link set dev eth0 up")
            _run(f"ip -n {space} link set dev lo up")
        yield hosts
    finally:
        for name in (*names, SWITCH):
            # A cable goes with the namespace of either end; one that was never made has none.
            if Path(f"/run/netns/{hosts.space(name)}").exists():
                _run(f"ip netns del {hosts.space(name)}")


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise NamespaceError(f"cannot enter a network namespace: {os.strerror(code)}")


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NamespaceError(f"{command}: {done.stderr.strip() or 'failed'}")
