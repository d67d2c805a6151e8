"""What limited a cell: every verdict occurs when it should, on made-up figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.cells.limits import Evidence, may_use, verdict

PLAIN = Evidence(
    server_cores=0.7, server_may_use=1.0, generator_cores=0.6, spins=False, throughput=10_000,
    ceiling=50_000, in_flight=64, outstanding=64,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "limit", "words"),
    [
        ({"server_cores": 0.97}, "server", "0.970 of the 1.00 cores"),
        ({"server_cores": 1.0, "server_may_use": 2.0}, "unclear", "server 50%"),
        ({"server_cores": 1.9, "server_may_use": 2.0}, "server", "1.90 of the 2.00"),
        ({"generator_cores": 0.91}, "generator", "generator 91% busy"),
        ({"generator_cores": 0.9}, "unclear", "generator 90% busy"),
        ({"generator_cores": 0.95, "server_cores": 1.0}, "generator", "generator 95% busy"),
        ({"throughput": 48_000}, "generator", "96% of the 50,000 requests"),
        ({"throughput": 48_000, "ceiling": 0.0}, "unclear", "server 70%"),
        ({"server_cores": 0.1, "generator_cores": 0.1}, "waiting", "other than a CPU"),
        ({"server_cores": 0.1, "generator_cores": 0.1, "in_flight": 50}, "unclear", "50.0 req"),
        ({"server_cores": 0.99, "in_flight": 50}, "server", "50.0 requests in flight"),
        ({"rate": 10_100, "spins": True, "generator_cores": 1.0}, "waiting", "keeps up with"),
        ({"rate": 12_000, "spins": True, "generator_cores": 1.0}, "unclear", "generator spins"),
        ({"rate": 12_000, "spins": True, "server_cores": 1.0}, "server", "1.00 of the 1.00"),
        ({"server_may_use": 0.0}, "server", "0 cores"),
        ({"server_cores": 0.1, "generator_cores": 0.1, "others": 0.4}, "unclear", "others used"),
        ({"server_cores": 0.97, "others": 0.4}, "server", "0.970 of"),
        ({}, "unclear", "server 70%, generator 60% busy"),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_evidence(
    changes: dict[str, float], limit: str, words: str
) -> None:
    found = verdict(replace(PLAIN, **changes))  # type: ignore[arg-type]
    assert found.limit == limit
    assert words in str(found)


@pytest.mark.parametrize(("in_flight", "holds"), [(61, True), (67, True), (60, False)])
def test_littles_law_holds_within_five_percent(in_flight: float, holds: bool) -> None:
    assert replace(PLAIN, in_flight=in_flight).little_holds == holds


def test_littles_law_is_no_evidence_where_nothing_is_known_to_be_outstanding() -> None:
    assert replace(PLAIN, outstanding=0).little_holds


@pytest.mark.parametrize(
    ("server_cpus", "shared", "processes", "gil", "cores"),
    [
        (1, False, 65, True, 1.0),
        (4, False, 1, True, 1.0),  # the GIL
        (4, False, 3, True, 3.0),
        (4, False, 1, False, 4.0),  # a free-threaded build
        (2, True, 65, True, 1.6),  # the generator takes 0.4 of the same CPUs
        (1, True, 1, True, 0.6),
    ],
)
def test_a_server_may_use_its_cpus_less_the_generators_and_one_core_per_gil(
    server_cpus: int, shared: bool, processes: int, gil: bool, cores: float
) -> None:
    assert may_use(
        server_cpus=server_cpus, shared=shared, generator_cores=0.4, processes=processes, gil=gil
    ) == pytest.approx(cores)
