"""Child processes by fork(): started, reaped, and taken along when the server stops. POSIX only.

SIGCHLD is handled, not ignored: for an ignored one the kernel forgets what the children used of
the CPU, and that is what the suite measures.
"""

from __future__ import annotations

__all__ = ["Children"]

import os
import signal
import sys
from functools import partial

from servers.life.parent import Lifeline

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import NoReturn

    from servers.life.listener import Listener

HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


class Children:
    """The children of this process; there may be no others, for they are all reaped here."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._pids: set[int] = set()
        self._lifeline = Lifeline()
        listener.children = self._pids.copy
        listener.elsewhere = self._pids.__len__
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())

    def start(self, connection: socket, work: Callable[[], None]) -> None:
        """Do `work` on a connection in a child of its own, which ends with it.

        Where there can be no further process, the peer is told so.
        """
        # A child may end, and a stop may come, before the child is known here: both must wait.
        unmasked = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            pid = os.fork()
            if not pid:
                run_and_exit(partial(self._become_child, connection, unmasked, work))
            self._pids.add(pid)
        except OSError as error:
            self._listener.refuse(connection, f"No further process can start ({error.strerror})")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)

    def _become_child(
        self, connection: socket, unmasked: set[int], work: Callable[[], None]
    ) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._lifeline.hold_soon()
        self._listener.leave_to_parent(keep=connection)
        signal.pthread_sigmask(signal.SIG_SETMASK, unmasked)
        work()

    def wait(self) -> None:
        """Return when all have ended."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # reaped here from now on
        while self._pids:
            pid, _ = os.waitpid(-1, 0)
            self._pids.discard(pid)

    def _reap(self) -> None:
        """Reap whoever has ended: one SIGCHLD may stand for many."""
        while self._pids:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return  # another SIGCHLD, in the middle of this one, has reaped them all
            if not pid:
                return
            self._pids.discard(pid)


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    """Do `work` and end this process without a way back into what its parent was doing."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - told like any other, but it must not get further
        sys.excepthook(*sys.exc_info())  # which does not raise: see notices.StandardError
        os._exit(1)
    os._exit(0)
