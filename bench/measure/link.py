"""Where a server is reached: over loopback, or over a pair of virtual cards with an MTU of 1,500.

For the second the server runs in a network namespace of its own, which takes root and `ip` of
iproute2. Over loopback nothing is ever cut into fragments; here the kernel does it in earnest. The
namespace and both cards are gone afterwards.
"""

from __future__ import annotations

__all__ = ["LOOPBACK", "Link", "LinkError", "linked"]

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from bench.errors import TroubleError

NETWORK = "10.213.79"
"""Of the pair: from 10/8, and unlikely to be anybody's; it lasts for a trial."""
MTU = 1_500


class Link(NamedTuple):
    """How to start a server behind a link, and at which of its addresses it listens."""

    prefix: tuple[str, ...] = ()  # words before its command; they do not fork
    host: str = ""  # empty: loopback


LOOPBACK = Link()


class LinkError(TroubleError):
    """A link that cannot be had here; the message is a sentence."""


@contextlib.contextmanager
def linked(kind: str) -> Iterator[Link]:
    """Give a link of a kind, "" or "veth"; LinkError when this machine does not allow it."""
    if not kind:
        yield LOOPBACK
        return
    if os.geteuid() or not shutil.which("ip"):
        raise LinkError("a pair of virtual cards takes root, and ip of iproute2")
    name = f"tm{os.getpid()}"
    here, there = f"{name}a", f"{name}b"
    try:
        for command in (
            f"ip netns add {name}",
            f"ip link add {here} mtu {MTU} type veth peer name {there} mtu {MTU} netns {name}",
            f"ip addr add {NETWORK}.1/24 dev {here}",
            f"ip link set {here} up",
            f"ip -n {name} addr add {NETWORK}.2/24 dev {there}",
            f"ip -n {name} link set {there} up",
            f"ip -n {name} link set lo up",
        ):
            _run(command)
        yield Link(("nsenter", f"--net=/run/netns/{name}"), f"{NETWORK}.2")
    finally:
        with contextlib.suppress(LinkError):  # it was never there
            _run(f"ip netns del {name}")
        with contextlib.suppress(LinkError):  # it went with the other end
            _run(f"ip link del {here}")


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LinkError(f"{command}: {done.stderr.strip() or 'failed'}")
