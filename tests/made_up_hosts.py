"""Made-up hosts for the tests of trials across hosts: threads that speak as `bench.across.part`.

Each has a clock of its own, and begins, counts and fails as it is told to.
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.across.lines import Channel
from bench.across.meeting import HostError, Invitation
from bench.measure.meter import Footprint, Usage
from bench.measure.noise import CpuTicks
from clients.load import ERROR_KINDS
from reports.histogram import Histogram
from reports.schema import plain
from reports.tally import Tally

STEPS = 4


@dataclass(slots=True)
class MadeUp:
    """What a host is like."""

    latencies_ns: Sequence[int] = (1_000_000,) * 100
    ahead_ns: int = 0  # its clock
    late_ns: int = 0  # it begins so much after the instant that it was told
    cpu_seconds: float = 0.01
    cpus: Sequence[int] = (0, 1)
    machine: str = ""  # empty: one of its own
    fails: dict[str, str] = field(default_factory=dict)  # by command: what it says
    gone_at: str = ""  # the command at which it closes its connection
    silent_at: str = ""  # or says nothing more
    heard: list[list[Any]] = field(default_factory=list)
    name: str = ""

    def clock(self) -> int:
        return time.monotonic_ns() + self.ahead_ns

    def answer(self, name: str, arguments: list[Any]) -> Any:
        if name in self.fails:
            return {"error": self.fails[name]}
        match name:
            case "clock":
                return self.clock()
            case "serve":
                return {"host": "127.0.0.1", "port": 1}
            case "way":
                return 1500
            case "measure":
                return self.measured(*arguments)
            case "tally":
                return plain(self.tally())
            case "rest":
                self.ticks = CpuTicks.now()
            case "weigh":
                return {
                    "ticks": [dataclasses.asdict(self.ticks), dataclasses.asdict(CpuTicks.now())],
                    "usage": dataclasses.asdict(Usage(0.1, 0.1, 1, 2, 3)),
                    "footprint": dataclasses.asdict(Footprint(1000, 1, 2, 3)),
                    "spread": [],
                }
        return None

    ticks: CpuTicks = field(default_factory=CpuTicks.now)
    seconds: float = 1.0

    def measured(self, instant: int, seconds: float, _step: float, _drain: float) -> int:
        self.seconds = seconds
        begin = instant + self.late_ns
        in_time = begin >= self.clock()
        time.sleep(max(0, begin - self.clock()) / 1e9)
        # A thread beside others wakes up late: when it was told in time, it did begin in time.
        began = begin if in_time else self.clock()
        time.sleep(seconds)
        return began

    def tally(self) -> Tally:
        count = len(self.latencies_ns)
        return Tally(
            seconds=self.seconds,
            requests=count,
            errors=dict.fromkeys(ERROR_KINDS, 0),
            answered=Histogram.of(self.latencies_ns),
            requests_per_connection=[count],
            interval_seconds=self.seconds / STEPS,
            interval_requests=[count // STEPS] * STEPS,
            interval_latencies=[Histogram()] * STEPS,
            generator_cpu_seconds=self.cpu_seconds,
        )

    def live(self, invitation: Invitation) -> None:
        try:
            connection = socket.create_connection((invitation.host, invitation.port), 10)
            connection.settimeout(None)
            channel = Channel(connection)
        except OSError:
            return  # the meeting is over
        hello = {"name": invitation.name, "secret": invitation.secret, "address": "10.0.0.1"}
        who = {"machine": self.machine or invitation.name, "cpus": list(self.cpus)}
        try:
            channel.send(hello | who | {"fingerprint": {"python": "made up"}})
            while True:
                name, *arguments = call = channel.receive()
                self.heard.append(call)
                if name == self.gone_at:
                    break
                if name != self.silent_at:
                    channel.send(self.answer(name, arguments))
        except OSError:
            pass  # the conductor has closed the meeting, or would not have this one
        channel.close()


class Threads:
    """A `Starter` of made-up hosts."""

    def __init__(self, **hosts: MadeUp) -> None:
        self.hosts = hosts
        self.troubles: dict[str, str] = {}

    def start(self, invitation: Invitation) -> Thread:
        if invitation.name not in self.hosts:
            raise HostError(f"there is no host {invitation.name}")
        if trouble := self.troubles.get(invitation.name):
            return Thread(None, trouble)
        host = self.hosts[invitation.name]
        thread = threading.Thread(target=host.live, args=(invitation,), daemon=True)
        thread.start()
        return Thread(thread)


class Thread:
    """A made-up host that was started."""

    def __init__(self, thread: threading.Thread | None, trouble: str = "") -> None:
        self._thread = thread
        self._trouble = trouble

    def trouble(self) -> str:
        return self._trouble

    def end(self) -> None:
        pass  # the connection's end is enough
