"""The way to a cluster: the address of a scheduler, its file, or `local:N`, started for the while.

Dask is an extra, and is imported here, when somebody asks for a cluster.
"""

from __future__ import annotations

__all__ = ["ClusterError", "MissingError", "connected"]

import contextlib
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.across.starting import environment
from bench.errors import TroubleError, UserError
from bench.measure.launch import ROOT

CONFIG = Path(__file__).with_name("worker.yaml")
LEASH = "bench.cluster.leash"
CONNECT_SECONDS = 15.0
STOP_SECONDS = 3.0


class ClusterError(TroubleError):
    """A cluster that cannot be reached or used; the message is a sentence."""


class MissingError(UserError):
    """Dask is not installed."""


@contextlib.contextmanager
def connected(address: str, tls: str = "") -> Iterator[Any]:
    """Yield a client of the scheduler that `address` means; ClusterError, MissingError."""
    if find_spec("distributed") is None:
        raise MissingError("a cluster needs Dask distributed: pip install 'threadmill[cluster]'")
    from distributed import Client

    # What it says of lost connections on standard error is said by us, in a sentence.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        security = _security(tls)
        if local := re.fullmatch(r"local:([1-9]\d?)", address):
            if tls:
                raise AddressError("local:N stays on loopback, and takes no --cluster-tls")
            known = {"address": stack.enter_context(_started(int(local[1])))}
        elif "://" in address:
            known = {"address": address}
        elif Path(address).is_file():
            known = {"scheduler_file": address}
        else:
            raise AddressError(
                f"a cluster is tcp://host:port, local:N or a scheduler's file, not {address!r}"
            )
        try:
            client = Client(
                **known, security=security, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no scheduler answers at {address}: {error}") from error
        stack.callback(client.close, timeout=STOP_SECONDS)
        if local:
            client.wait_for_workers(int(local[1]), timeout=CONNECT_SECONDS)
        yield client


class AddressError(UserError):
    """An address or a set of keys that is none."""


def _security(tls: str) -> Any:
    if not tls:
        return None
    from distributed.security import Security

    files = tls.split(",")
    if len(files) != 3 or not all(Path(each).is_file() for each in files):
        raise AddressError("--cluster-tls is three files: the CA's, the certificate and the key")
    ca, cert, key = files
    return Security(
        tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True
    )


@contextlib.contextmanager
def _started(workers: int) -> Iterator[str]:
    """Run a scheduler and workers on loopback, which end with the context and with this process."""
    settings = environment() | {"DASK_CONFIG": str(CONFIG)}
    own = [sys.executable, "-m", "dask"]
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        alike = ["--no-dashboard", "--host", "127.0.0.1", "--preload", LEASH]

        def start(*words: str) -> None:
            processes.append(
                subprocess.Popen(
                    [*own, *words, *alike],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=folder,
                    env=settings | {"PYTHONPATH": str(ROOT)},
                    start_new_session=True,  # a Ctrl-C at the terminal is the conductor's
                )
            )

        try:
            start("scheduler", "--port", "0", "--scheduler-file", str(file))
            address = _address(file, processes[0])
            for number in range(workers):
                name = ("--name", str(number), "--local-directory", folder)
                start("worker", address, *OF_A_WORKER, *name)
            yield address
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


OF_A_WORKER = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0")


def _address(file: Path, scheduler: subprocess.Popen[bytes]) -> str:
    """Return where a scheduler that was just started listens, as soon as its file says so."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline and scheduler.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError):  # not there yet, or half of it
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
        time.sleep(0.02)
    raise ClusterError("the local scheduler did not start")
