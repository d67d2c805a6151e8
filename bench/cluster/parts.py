"""Has hosts' parts in a trial started by the workers of a Dask cluster.

A part is one task, pinned to one worker, never stolen and never tried again: it starts a process
(`bench.across.part`) and waits for its end, so the worker is taken for as long as the trial lasts.
Nothing of the trial goes through Dask. The process ends with its worker, whose pipe it holds, and
with the conductor, whose connection it has.
"""

from __future__ import annotations

__all__ = ["Cluster", "ClusterError", "cluster"]

import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.across.meeting import HostError, Invitation
from bench.across.starting import begin
from bench.errors import TroubleError, UserError

CONNECT_SECONDS = 10.0
END_SECONDS = 5.0
LOCAL = "local:"


class ClusterError(TroubleError):
    """A cluster that cannot be reached; the message is a sentence."""


class NoSuchHostError(UserError):
    """A host that a user named and that the cluster does not have; the message is a sentence."""


class NoDaskError(UserError):
    """Dask is not installed; the message is a sentence."""


def take_part(invitation: Mapping[str, Any]) -> str:
    """Start a part on the machine of a worker; return what was wrong when it has ended."""
    process = begin(Invitation(**invitation))
    try:
        process.wait()
        return process.trouble()
    finally:
        process.end()


class Task:
    """A part that a worker was told to start."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def trouble(self) -> str:
        """Return why it will not come; empty while its task is under way."""
        match self._future.status:
            case "finished":
                return str(self._future.result())
            case "error":
                return f"its worker says {str(self._future.exception()).strip().splitlines()[-1]}"
            case "cancelled" | "lost":
                return "its worker was lost"
        return ""

    def end(self) -> None:
        """Wait until its process has ended, as it does with the connection, and forget it."""
        from distributed import wait

        with contextlib.suppress(TimeoutError, CancelledError):  # its worker is gone
            wait([self._future], timeout=END_SECONDS)
        self._future.release()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a scheduler: a `Starter` of parts."""

    client: Any  # distributed.Client
    address: str  # of this machine, as the workers see it

    @property
    def hosts(self) -> dict[str, str]:
        """The addresses of the workers that there are now, by name."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return {str(each["name"]): address for address, each in workers.items()}

    def check(self, *names: str) -> None:
        """Raise NoSuchHostError when one of these hosts is not there."""
        hosts = self.hosts
        for name in names:
            if name not in hosts:
                there = ", ".join(sorted(hosts)) or "none"
                raise NoSuchHostError(f"the cluster has no host {name!r}: there are {there}")

    def start(self, invitation: Invitation) -> Task:
        """Have a part started by the worker of that name; HostError when it is gone."""
        address = self.hosts.get(invitation.name)
        if address is None:
            raise HostError(f"host {invitation.name} cannot take part: its worker is gone")
        return Task(
            self.client.submit(
                take_part,
                invitation._asdict(),
                key=f"part-{invitation.name}-{invitation.secret[:8]}",
                workers=[address],
                allow_other_workers=False,
                retries=0,
                pure=False,
            )
        )


@contextlib.contextmanager
def cluster(asked: str) -> Iterator[Cluster]:
    """Connect to a scheduler, `tcp://HOST:PORT`, or have `local:N` workers on this machine."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise NoDaskError("--cluster takes Dask: pip install 'threadmill[cluster]'") from error
    with contextlib.ExitStack() as stack:
        if asked.startswith(LOCAL):
            count = asked.removeprefix(LOCAL)
            if not (count.isascii() and count.isdecimal() and 1 <= int(count) <= 64):
                raise NoSuchHostError(f"{asked!r} is not of the form local:N, N from 1 to 64")
            local = stack.enter_context(
                LocalCluster(
                    n_workers=int(count),
                    threads_per_worker=1,
                    memory_limit=0,
                    dashboard_address="127.0.0.1:0",  # None would listen on a port that others have
                )
            )
            target: Any = local
            address = "127.0.0.1"
        else:
            target = asked
            address = _own_address(asked)
        try:
            client = stack.enter_context(Client(target, timeout=CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise ClusterError(f"no scheduler answers at {asked}: {error}") from error
        yield Cluster(client, address)


def _own_address(scheduler: str) -> str:
    """Return the address of this machine on the way to the scheduler."""
    parts = urlsplit(scheduler)
    if parts.scheme not in {"tcp", "tls"} or not parts.hostname or not parts.port:
        raise NoSuchHostError(f"{scheduler!r} is not of the form tcp://HOST:PORT or local:N")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as look:
        try:
            look.connect((parts.hostname, parts.port))  # which sends nothing
        except OSError as error:
            raise ClusterError(f"there is no way to {scheduler}: {error.strerror}") from error
        return str(ipaddress.ip_address(look.getsockname()[0]))
