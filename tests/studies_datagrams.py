"""Made-up trials of the studies of datagrams, whose figures are known."""

from __future__ import annotations

from collections.abc import Iterator

from clients.load import ERROR_KINDS
from reports.record import Sample
from tests.runs import Traits, changed, make_sample, spread_out

RATES = (5_000, 10_000, 40_000)
BUFFERS = (8_192, 106_496)


def echo_sample(
    model: str, block: int, transport: str, cpu_us: float, traits: Traits | None = None
) -> Sample:
    """Return a trial of ECHO of 64 B over a transport, at so much CPU a request."""
    base = make_sample("echo", model, block, traits=traits)
    cpu_seconds = cpu_us * 1e-6 * base.tally.requests
    return changed(
        base,
        scenario={"udp": "udp-echo", "tcp": "echo"}[transport],
        level={"udp": "64 flows, 64 B", "tcp": "64 connections, 64 B"}[transport],
        transport=transport,
        size_bytes=64,
        server_user_seconds=cpu_seconds / 2,
        server_system_seconds=cpu_seconds / 2,
    )


def loss_sample(
    model: str, rate: int, buffer: int, lost: int, traits: Traits | None = None, *,
    late: int = 0, dropped: int | None = None, block: int = 1,
) -> Sample:  # fmt: skip
    """Return a trial of udp-loss: lost of 10,000 requests, as the kernel says, or another count."""
    kernel = lost - late if dropped is None else dropped
    return changed(
        make_sample("echo", model, block, traits=traits),
        scenario="udp-loss",
        level=f"64 flows, 64 B, {rate:,}/s, receive buffer {buffer:,}",
        transport="udp",
        size_bytes=64,
        rate=float(rate),
        receive_buffer=buffer,
        requests=10_000 - lost,
        answered=spread_out(300_000, 0.3, 10_000 - lost),
        unanswered=spread_out(5e8, 0.01, lost),
        errors=dict.fromkeys(ERROR_KINDS, 0) | {"lost": lost, "late": late},
        kernel={"RcvbufErrors": kernel, "server_sk_drops": kernel},
    )


def size_sample(
    model: str, size: int, link: str, cpu_us: float, traits: Traits | None = None, *,
    fragments: int = 0, block: int = 1,
) -> Sample:  # fmt: skip
    """Return a trial of udp-size, in which every datagram goes in so many fragments; 0: whole."""
    echo = make_sample("echo", model, block, traits=traits)
    requests = echo.tally.requests
    kernel = {"FragCreates": requests * fragments, "ReasmOKs": requests if fragments else 0}
    theirs = {f"server_{name}": count for name, count in kernel.items()} if link else {}
    return changed(
        echo,
        scenario="udp-size",
        level=f"2 flows, {size} B" + (f", over {link}" if link else ""),
        transport="udp",
        connections=2,
        size_bytes=size,
        link=link,
        requests_per_connection=[requests // 2] * 2,
        server_user_seconds=cpu_us * 1e-6 * requests,
        server_system_seconds=0.0,
        kernel=kernel | theirs,
    )


def all_of_datagrams(model: str, block: int, traits: Traits) -> Iterator[Sample]:
    """Yield the trials of a model in a block."""
    for transport, cpu_us in (("udp", traits.cpu_us), ("tcp", traits.cpu_us * 1.2)):
        yield echo_sample(model, block, transport, cpu_us, traits)
    for buffer in BUFFERS:
        for rate in RATES:
            lost = min(10_000, int(rate * 2e4 / buffer / traits.speed))
            yield loss_sample(model, rate, buffer, lost, traits, block=block)
    for link in ("", "veth"):
        for size in (64, 1_464, 1_473, 65_499):
            fragments = -(-size // 1_464) if link and size > 1_464 else 0
            cpu_us = traits.cpu_us * (1 + size / 65_499 + fragments / 10)
            yield size_sample(model, size, link, cpu_us, traits, fragments=fragments, block=block)
