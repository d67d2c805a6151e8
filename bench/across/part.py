"""What the conductor has done on a host: `python -m bench.across.part`, told by JSON lines.

Whoever starts it writes an invitation as the first line of its standard input: where the conductor
listens, the name of the host, and a secret. It connects there, says both and what the host is, and
then does what it is told, one thing after the other: a server is started, looked at and stopped, a
load engine is taken through its phases. Every answer is a line: the result, or {"error": sentence}.

It lasts for one trial, and its life hangs on three threads: the connection to the conductor, the
standard input that whoever started it holds, and the time within which the conductor said that it
would ask again. When one is cut all that it started is stopped, and it ends; what does not stop in
GRACE_SECONDS is killed with it, by the pipes and the death signals that servers and engines have
anyway.
"""

from __future__ import annotations

__all__ = ["machine", "main"]

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from bench.across.lines import Channel, LostError
from bench.errors import TroubleError
from bench.measure import meter
from bench.measure.files import programs_of, root_of
from bench.measure.launch import Server
from bench.measure.link import Link
from bench.measure.machine import fingerprint
from bench.measure.noise import CpuTicks
from bench.measure.null import null_server
from bench.measure.placement import allowed_cpus
from clients.engine.generator import Generator, GeneratorError
from clients.load import AimedLoad
from reports.key import REFERENCE
from reports.load import Load
from reports.schema import plain
from reports.serving import Serving
from servers import catalog

HELLO_SECONDS = 20.0
GRACE_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
"""For the conductor to ask for something, unless it said that it would be longer."""
IP_MTU = 14
"""Of a connected socket: the MTU of the way to its peer, as far as the kernel knows (ip(7))."""
BOOT = Path("/proc/sys/kernel/random/boot_id")

Command = Callable[..., Any]


class Part:
    """What runs on this host for a trial, and the commands that the conductor gives it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._server = ExitStack()
        self._generators = ExitStack()
        self._serving: Server | None = None  # a model's
        self._pid = 0  # of whatever serves
        self._generator: Generator | None = None
        self._before: tuple[meter.Reading, CpuTicks] | None = None
        self.patience_seconds = PATIENCE_SECONDS
        self.commands: Mapping[str, Command] = {
            "clock": time.monotonic_ns,
            "hush": self.hush,
            "serve": self.serve,
            "rest": self.rest,
            "weigh": self.weigh,
            "stop": self.stop,
            "generate": self.generate,
            "open": self.open,
            "warm_up": lambda seconds: self.generator.warm_up(seconds),
            "measure": self.measure,
            "tally": lambda: plain(self.generator.tally()),
            "close": lambda: self.generator.close(),
            "way": self.way,
        }

    @property
    def generator(self) -> Generator:
        """The load engine; GeneratorError when none was asked for."""
        if self._generator is None:
            raise GeneratorError("there is no load generator on this host")
        return self._generator

    def hush(self, seconds: float) -> None:
        """Leave the connection quiet until the next word, which comes within `seconds`."""
        self._channel.hush()
        self.patience_seconds = seconds

    def serve(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Start a server, wait until it answers, and say where it listens and what it is.

        `asked` names the model, or the null server, and what `Server` takes.
        """
        load = Load(**asked["load"])
        address, cpus = str(asked["address"]), list(asked["cpus"])
        if asked["model"] == REFERENCE:
            null = self._server.enter_context(null_server(cpus, address=address))
            self._pid = null.pid
            return {"host": null.host, "port": null.port}
        server = self._serving = self._server.enter_context(
            Server(
                catalog.find(asked["model"]),
                Serving(**asked["serving"]),
                cpus=cpus,
                root=self._server.enter_context(root_of(load)),
                programs=programs_of(load),
                holds=load.idle_connections,
                link=Link(host=address),
            )
        )
        self._pid = server.pid
        server.wait_until_answering()
        meter.settle(server.pid)  # the first answer's connection may still be ending
        return {
            "host": server.host,
            "port": server.port,
            "ready_seconds": server.ready_seconds,
            "first_answer_seconds": server.first_answer_seconds,
            "served_before": server.served_before,
            "server": server.identity(),
            "pss_idle_bytes": meter.footprint(server.pid).pss_bytes,
        }

    def rest(self, rest_seconds: float) -> None:
        """Read the server and the machine, at rest, before the window."""
        reading = meter.settle(self._pid, rest_seconds) if self._pid else meter.Reading([], {}, {})
        self._before = reading, CpuTicks.now()

    def weigh(self, rest_seconds: float) -> dict[str, Any]:
        """Read them again after it, and say what was used in between, and what is held."""
        assert self._before  # noqa: S101  # the conductor said `rest` before
        before, ticks = self._before
        now = CpuTicks.now()
        said: dict[str, Any] = {"ticks": [dataclasses.asdict(each) for each in (ticks, now)]}
        if not self._pid:
            return said
        after = meter.settle(self._pid, rest_seconds)
        if self._serving:
            self._serving.check_alive()
        footprint = meter.footprint(self._pid)
        spread = meter.connections(self._pid) if footprint.processes > 1 else []
        used = meter.usage(before, after)
        return said | {
            "usage": dataclasses.asdict(used),
            "footprint": dataclasses.asdict(footprint),
            "spread": spread,
        }

    def stop(self) -> dict[str, Any]:
        """Stop the server, and say what it was to its end."""
        server, self._serving, self._pid = self._serving, None, 0
        self._server.close()
        return server.identity() | {"environment": server.settings()} if server else {}

    def generate(self, cpus: Sequence[int]) -> None:
        """Start a load engine on some CPUs."""
        self._generator = self._generators.enter_context(Generator(cpus))

    def open(self, load: Mapping[str, Any]) -> None:
        """Connect."""
        self.generator.open(AimedLoad(**load))

    def measure(
        self, instant_ns: int, seconds: float, interval_seconds: float, drain_seconds: float
    ) -> int:
        """Load the server from an instant of this host's clock on, and say when that began."""
        began = self.generator.measure_at(instant_ns, seconds, interval_seconds)
        if drain_seconds:
            self.generator.drain(drain_seconds)
        return began

    def way(self, host: str, port: int) -> int:
        """Return the MTU of the way to where somebody listens."""
        with socket.create_connection((host, port), HELLO_SECONDS) as connection:
            return connection.getsockopt(socket.IPPROTO_IP, IP_MTU)

    def end(self, *, well: bool) -> None:
        """End what still runs: politely after good work, at once otherwise."""
        with ExitStack() as stack:
            stack.push(self._server)
            stack.push(self._generators)
            if not well:
                raise SystemExit(1)  # which both are told of


def machine() -> str:
    """Return what hosts say alike that share a kernel: network namespaces, for instance."""
    return BOOT.read_text(encoding="ascii").strip()[:8]


def facts(channel: Channel) -> dict[str, Any]:
    """Return what the conductor must know of this host."""
    return {
        "address": channel.own_address,
        "machine": machine(),
        "cpus": allowed_cpus(),
        "pid": os.getpid(),
        "fingerprint": fingerprint(),
    }


def serve(channel: Channel) -> None:
    """Do what the conductor says until it has no more to say."""
    part = Part(channel)
    well = False
    try:
        while True:
            name, *arguments = channel.receive(part.patience_seconds)
            part.patience_seconds = PATIENCE_SECONDS
            if name == "end":
                part.end(well=True)
                well = True
                channel.send(None)
                return
            try:
                answer = part.commands[name](*arguments)
            except (TroubleError, GeneratorError) as error:
                answer = {"error": str(error)}
            except (OSError, ValueError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            if name != "hush":
                channel.hush(False)
            channel.send(answer)
    finally:
        if not well:
            part.end(well=False)


def watch(connection: socket.socket, lifeline: int) -> None:
    """End this process when the conductor, or who started it, is gone; it sleeps until then."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.register(lifeline, 0)  # only that its other end is closed
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    """Follow the invitation on standard input."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough
        raise SystemExit(1)

    signal.signal(signal.SIGTERM, leave)
    invitation = json.loads(sys.stdin.readline())
    where = invitation["host"], invitation["port"]
    with contextlib.closing(Channel(socket.create_connection(where, HELLO_SECONDS))) as channel:
        lifeline = sys.stdin.fileno()
        threading.Thread(target=watch, args=(channel.socket, lifeline), daemon=True).start()
        channel.send({"secret": invitation["secret"], "name": invitation["name"], **facts(channel)})
        with contextlib.suppress(LostError):  # there is nobody to tell
            serve(channel)


if __name__ == "__main__":
    main()
