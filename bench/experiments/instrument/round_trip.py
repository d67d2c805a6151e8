"""round-trip: what one round trip costs, on an open connection and with a connection of its own.

A single client that waits for each answer: no concurrency at all, so this is the least that a
request can take, and the floor below every latency in the report. Client and server share the
machine as they please.
"""

from __future__ import annotations

from bench.experiments.figures import Found, ratio
from bench.experiments.instrument.models import shown
from bench.experiments.lab import Lab
from bench.experiments.rules import Verdict, at_most
from bench.measure.launch import Server
from bench.measure.placement import allowed_cpus
from clients.probe import Probe
from reports.serving import Serving

PAYLOAD = b"x" * 64
TRIPS = 20  # of a round: one alone is not much longer than the clock's reading


def measure(lab: Lab) -> None:
    """Run each model in turn, one server for both figures."""
    for model in shown(lab):
        lab.say(model.name)
        workers = min(model.workers, 4)
        with Server(model, Serving(workers=workers), cpus=allowed_cpus()) as server:
            server.wait_until_answering()

            def converse(at: Server = server) -> None:
                with Probe(at.host, at.port) as probe:
                    probe.echo(PAYLOAD)

            lab.time(model.name, "connect, one round trip, close", converse)
            with Probe(server.host, server.port) as probe:
                trip = probe.echo
                lab.time(
                    model.name, "one round trip", lambda echo=trip: echo(PAYLOAD), iterations=TRIPS
                )


def judge(found: Found) -> Verdict:
    """A thread that blocks is no slower than asyncio's streams."""
    threads = ratio(found.of("thread", "one round trip"), found.of("asyncio", "one round trip"))
    return at_most(threads, 1.0, "a thread's round trip takes {} of asyncio's")
