"""A descriptor that goes along when what holds it is handed to a process that is started anew.

A forked child has its parent's descriptors. One that is spawned, or forked by a server of
multiprocessing's, is sent what it needs pickled, and with it those descriptors.
"""

from __future__ import annotations

__all__ = ["Descriptor"]

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Descriptor(int):
    """The number of an open file."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Callable[..., Descriptor], tuple[Any, ...]]:
        """Have the child that is being started get a copy."""
        from multiprocessing.reduction import DupFd  # where there are such children

        return received, (DupFd(int(self)),)


def received(copy: Any) -> Descriptor:
    """In the child: return the copy."""
    return Descriptor(copy.detach())
