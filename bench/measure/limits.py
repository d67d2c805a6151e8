"""How much of this machine a server and a load engine may have: read before a ladder is climbed.

The limit on descriptors is the hard one of this process, which its children inherit. Only who has
CAP_SYS_RESOURCE, as root usually does, may raise it, up to `fs.nr_open`. Where a load needs more
than there are this is tried; runs that do not need it have the limits that they were started with.
"""

from __future__ import annotations

__all__ = ["limits"]

import contextlib
import resource
from pathlib import Path

import psutil

from bench.plan.ladder import DESCRIPTORS_BESIDE, Limits

UNLIMITED = 2**62


def limits(connections: int = 0) -> Limits:
    """Return what bounds a server and an engine here, once they have to hold `connections`."""
    if connections + DESCRIPTORS_BESIDE > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
        _raise_descriptors()
    return Limits(
        memory_bytes=psutil.virtual_memory().total,
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        tasks=min(
            _number("/proc/sys/kernel/threads-max"),
            _number("/proc/sys/kernel/pid_max"),
            _number("/sys/fs/cgroup/pids.max"),
        ),
        maps=_number("/proc/sys/vm/max_map_count"),
    )


def _raise_descriptors() -> None:
    """Raise the hard limit to the kernel's, where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _number("/proc/sys/fs/nr_open")
    if hard < most < UNLIMITED:
        # Not for this user, or not in this container: the ladder then ends where the limit is.
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def _number(path: str) -> int:
    """Return a limit of the kernel's; one that is not there, or is `max`, bounds nothing."""
    try:
        word = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return UNLIMITED
    return int(word) if word.isdigit() else UNLIMITED
