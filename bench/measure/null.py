"""The null server, seen from a run: the least that a server can do, as a yardstick.

`ceiling` is what the generator reaches against it under a scenario's load, and what that costs. A
model that comes near that may have been held up by the generator and not by itself; what lies below
is the kernel's and the machine's, and no model's to save. `wake_up_ns` is what one
round trip of one connection takes: on one CPU, and across two, where each side has to wake the
other up. It tells how much of a one-connection latency is the machine's.
"""

from __future__ import annotations

__all__ = ["Helper", "as_bytes", "ceiling", "drive", "helper", "null_server", "wake_up_ns"]

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.errors import TroubleError
from bench.measure import window
from bench.measure.placement import Placement, pinned, place
from bench.measure.window import Timing, Window, answers
from clients.engine.exchange import Exchange
from clients.engine.generator import Generator
from clients.load import AimedLoad
from reports.load import Load
from reports.tally import Tally

WARM_UP_SECONDS = 0.1
ROUND_TRIP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Helper:
    """A server of ours that is no model, running."""

    process: subprocess.Popen[bytes]
    port: int
    host: str = "127.0.0.1"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def check_alive(self) -> None:
        """Raise HelperEnded when it is gone."""
        if (code := self.process.poll()) is not None:
            raise HelperEnded(f"a server of ours ended with exit code {code}")

    def aimed(self, load: Load) -> AimedLoad:
        """Aim a load at it."""
        return AimedLoad.at(self.host, self.port, load)


class HelperEnded(TroubleError):  # noqa: N818  # it says what happened
    """A server of ours that is no model is gone; the message is a sentence."""


@contextlib.contextmanager
def helper(module: str, cpus: Sequence[int], *words: str) -> Iterator[Helper]:
    """Run a server of ours that is no model on `cpus`."""
    with contextlib.ExitStack() as stack:
        with pinned(cpus):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", module, *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # a Ctrl-C at the terminal is the conductor's
                )
            )
        # Leaving closes its standard input, which ends it.
        assert process.stdout is not None  # noqa: S101  # it was opened as a pipe
        ready = json.loads(process.stdout.readline())
        yield Helper(process, ready["port"], ready["host"])


@contextlib.contextmanager
def null_server(
    cpus: Sequence[int], processes: int = 1, address: str = "127.0.0.1"
) -> Iterator[Helper]:
    """Run the null server on `cpus`, with so many processes that share its connections."""
    with helper("clients.targets.null", cpus, str(processes), address) as server:
        yield server


@contextlib.contextmanager
def null_flows(cpus: Sequence[int]) -> Iterator[Helper]:
    """Run the null server of datagrams on `cpus`."""
    with helper("clients.targets.null_flows", cpus) as server:
        yield server


NULL_SERVERS: Mapping[str, Callable[..., AbstractContextManager[Helper]]] = {
    "tcp": null_server,
    "udp": null_flows,
}
"""By transport."""


def drive(load: AimedLoad, cpus: Sequence[int], seconds: float) -> Tally:
    """Return what the engine on `cpus` gets from a server that is there already."""
    timing = Timing(warm_up_seconds=WARM_UP_SECONDS, seconds=seconds, drain_seconds=WARM_UP_SECONDS)
    with Generator(cpus) as generator:
        return answers(generator, load, timing)


def as_bytes(load: Load) -> Load:
    """Return a load as the null server can serve it, to which its frames are raw bytes."""
    whole = Exchange.of(load).request.length  # the frame's header with it
    return dataclasses.replace(load, kind="ECHO", framing="rawecho", size_bytes=whole)


def ceiling(load: Load, placement: Placement, seconds: float) -> Window:
    """Return what the null server does under `load`."""
    raw = as_bytes(load)
    timing = Timing(warm_up_seconds=WARM_UP_SECONDS, seconds=seconds, drain_seconds=WARM_UP_SECONDS)
    with (
        NULL_SERVERS[load.transport](placement.server) as server,
        Generator(placement.client) as generator,
    ):
        return window.drive(generator, server, server.aimed(raw), timing, weighed=True)


def wake_up_ns(cpus: Sequence[int] | Placement) -> dict[str, float]:
    """Return the p50 of one connection's round trip by placement; one CPU has but one."""
    if isinstance(cpus, Placement):
        placements = {cpus.name: cpus}
    else:
        names = ("same", "split") if len(cpus) > 1 else ("same",)
        placements = {name: place(name, cpus) for name in names}
    return {name: _round_trip_ns(placement) for name, placement in placements.items()}


def _round_trip_ns(placement: Placement) -> float:
    with null_server(placement.server) as server:
        load = server.aimed(Load(connections=1, framing="rawecho", size_bytes=64))
        tally = drive(load, placement.client, ROUND_TRIP_SECONDS)
        return float(tally.answered.values_at([50])[0])
