"""The studies: scenarios of several rows that belong together, for one question each.

docs/studies.md says what each of them asks, and how its section of the report is to be read.
"""

from __future__ import annotations

__all__ = ["EFFORTS", "STUDIES"]

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.plan.datagrams import EFFORTS_OF_DATAGRAMS, STUDIES_OF_DATAGRAMS
from bench.plan.scenario import ECHO, Scenario
from reports.load import Load
from reports.serving import Serving

CONNECTIONS_OF_A_PROCESS = 19_000
"""Idle connections that a process of the engine holds: less than many a machine's 20,000
descriptors, and than the ports of 127.0.0.1; each has a source address of its own anyway."""

STUDIES: Mapping[str, tuple[Scenario, ...]] = {
    "rate": tuple(
        replace(
            ECHO,
            name="rate",
            shows="latency and CPU at a rate that every model can keep",
            share=share,
            share_of="the slowest model's",
            serving=Serving(placement=placement),
        )
        for share in (0.25, 0.5)
        for placement in ("split", "same")
    ),
    "curve": tuple(
        replace(
            ECHO,
            name="curve",
            shows="response time against rate, up to and over what a model can do",
            share=share,
            share_of="its own",
        )
        for share in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2)
    ),
    "connections": tuple(
        Scenario(
            name="connections",
            shows="what an idle connection costs, and how many can be had",
            load=Load(
                connections=16,
                kind="ECHO",
                size_bytes=64,
                idle_connections=idle,
                # A model that does not serve an idle connection is known by its waiting in vain.
                request_timeout_seconds=3.0,
                connect_at_once=512,
            ),
        )
        for idle in (10, 100, 1_000, 10_000)
    ),
    "backlog": tuple(
        Scenario(
            name="backlog",
            shows="a burst of connects against a queue",
            load=Load(
                connections=256,
                kind="ECHO",
                size_bytes=64,
                connect_at_once=256,
                # Long enough for a lost SYN to be sent again twice, after 1 s and after 3.
                connect_timeout_seconds=4.0,
            ),
            serving=Serving(backlog=backlog),
        )
        for backlog in (5, 128, 1024)
    ),
    "connection-cost": (
        Scenario(
            name="connection-cost",
            shows="CPU of a connection's life, beyond that of a server that serves one at a time",
            load=Load(connections=16, session=1, kind="ECHO", size_bytes=64),
            share=0.5,
            share_of="the slowest model's",
        ),
    ),
    "scaling": tuple(
        replace(
            ECHO.loaded(connections=connections),
            name="scaling",
            shows="throughput, latency and CPU per request against connections",
        )
        for connections in (1, 4, 16, 64, 256, 1_000)
    ),
    "company": tuple(
        Scenario(
            name="company",
            shows="what small requests wait for while others keep the server computing",
            load=Load(connections=8, kind="ECHO", size_bytes=64, rate=200, company=company),
            # The generator of the company runs on the same CPUs, and is not to wait for a spinner.
            spins=False,
        )
        for company in (0, 1, 2, 4, 8)
    ),
    "cores": tuple(
        Scenario(
            name="cores",
            shows="what more CPUs do for a server that computes",
            # As many at once as the CPUs of the last rung can be busy with, twice over.
            load=Load(connections=32, kind="COMPUTE", size_bytes=64, argument=75_000),
            serving=Serving(placement="free", cpus=cpus),
        )
        for cpus in (1, 2, 4, 8, 16)
    ),
    "idle-ladder": tuple(
        Scenario(
            name="idle-ladder",
            shows="what an idle connection costs, up to 100,000 of them",
            load=Load(
                connections=16,
                kind="ECHO",
                size_bytes=64,
                idle_connections=idle,
                request_timeout_seconds=3.0,
                connect_at_once=512 // processes,
                engine_processes=processes,
            ),
        )
        for idle in (100, 1_000, 10_000, 19_000, 50_000, 100_000)
        for processes in [math.ceil(idle / CONNECTIONS_OF_A_PROCESS)]
    ),
    "memory": tuple(
        Scenario(
            name="memory",
            shows="memory by payload and by connections",
            load=Load(connections=connections, kind="ECHO", size_bytes=size_bytes),
        )
        for connections in (8, 64)
        for size_bytes in (1024, 256 * 1024)
    ),
    **STUDIES_OF_DATAGRAMS,
}
"""Scenarios of several rows that belong together; each has a profile of its own."""

EFFORTS: Mapping[str, Mapping[str, Any]] = {
    # Five trials are the fewest whose range is an interval that says something.
    "connection-cost": {"blocks": 5},
    "cores": {"blocks": 5},
    # A p99 needs a thousand requests, of which there are 200 a second.
    "company": {"window_seconds": 5.2},
    # Whatever is to be weighed is there as soon as it has been opened.
    "memory": {"window_seconds": 0.6},
    **EFFORTS_OF_DATAGRAMS,
}
"""Which of a profile's settings a study has of its own."""
