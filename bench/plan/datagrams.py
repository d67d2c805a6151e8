"""The workloads of datagrams: scenarios of a single load, and the studies of loss and of size."""

from __future__ import annotations

__all__ = ["BESIDE_TCP", "DATAGRAMS", "EFFORTS_OF_DATAGRAMS", "STUDIES_OF_DATAGRAMS"]

from collections.abc import Mapping
from typing import Any

from bench.plan.scenario import ECHO, Scenario
from reports.load import Load
from reports.serving import Serving

LOST_SECONDS = 0.5
"""After which a request is lost: what takes so long over loopback has not waited but gone."""

DATAGRAMS: Mapping[str, Scenario] = {
    row.name: row
    for row in (
        Scenario(
            name="udp-echo",
            shows="what a request costs without a connection",
            load=Load(
                transport="udp",
                connections=64,
                kind="ECHO",
                size_bytes=64,
                request_timeout_seconds=LOST_SECONDS,
            ),
        ),
        Scenario(
            name="udp-wait",
            shows="how many can wait at once: one thread has them queue, others do not",
            load=Load(
                transport="udp",
                connections=64,
                kind="WAIT",
                size_bytes=64,
                argument=20_000,
                # 64 that wait for one another take 1.3 s.
                request_timeout_seconds=5.0,
            ),
            serving=Serving(placement="free"),
        ),
    )
}

BESIDE_TCP: tuple[Scenario, ...] = (*DATAGRAMS.values(), ECHO.loaded(size_bytes=64))
"""What the profile of datagrams has: UDP's echo, and TCP's of as many bytes to hold it against."""

STUDIES_OF_DATAGRAMS: Mapping[str, tuple[Scenario, ...]] = {
    "udp-loss": tuple(
        Scenario(
            name="udp-loss",
            shows="what is lost at a rate, by the room that datagrams have to wait in",
            load=Load(
                transport="udp",
                connections=64,
                depth=1024,  # a flow is never full: the rate is kept, whatever is lost
                kind="ECHO",
                size_bytes=64,
                rate=rate,
                request_timeout_seconds=LOST_SECONDS,
            ),
            serving=Serving(receive_buffer=receive_buffer),
        )
        for receive_buffer in (8_192, 106_496, 2_097_152)
        for rate in (5_000, 10_000, 20_000, 40_000)
    ),
    "udp-size": tuple(
        Scenario(
            name="udp-size",
            shows="datagrams up to the largest; over a link of 1,500 bytes they go in fragments",
            load=Load(
                transport="udp",
                connections=2,  # the kernel's own buffer has room for two of the largest
                kind="ECHO",
                size_bytes=size_bytes,
                request_timeout_seconds=LOST_SECONDS,
            ),
            serving=Serving(link=link),
        )
        for link in ("", "veth")
        # 1,464 is the last payload that fits into 1,500 bytes with the headers of IP, UDP and ours.
        for size_bytes in (64, 512, 1_464, 1_472, 1_473, 8_000, 65_499)
    ),
}

EFFORTS_OF_DATAGRAMS: Mapping[str, Mapping[str, Any]] = {
    # What was lost is counted, not estimated: one trial says it. It takes a while until what waits
    # in a large buffer has been answered, late.
    "udp-loss": {"blocks": 1, "drain_seconds": 2.0},
    "udp-size": {"blocks": 1, "window_seconds": 0.6},
}
