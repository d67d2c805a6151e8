"""The schedules of the open loop."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.engine._schedule import Schedule
from clients.engine.driver import shares
from clients.load import AimedLoad
from clients.pacing import due_times


def first(count: int, rate: float, arrivals: str, seed: int = 0) -> list[float]:
    return list(itertools.islice(due_times(rate, arrivals, seed), count))


def test_uniform_arrivals_are_evenly_spaced_from_the_begin() -> None:
    assert first(4, 1000, "uniform") == [0, 1e6, 2e6, 3e6]


def test_uniform_arrivals_do_not_drift() -> None:
    due = Schedule(3, "uniform", 0).take(3_000_001)[-1]
    assert due == pytest.approx(1e15, rel=1e-12)


def test_poisson_gaps_have_the_mean_and_the_tail_of_an_exponential() -> None:
    due = first(100_000, 1e9, "poisson", seed=1)
    gaps = [after - before for before, after in itertools.pairwise(due)]
    assert sum(gaps) / len(gaps) == pytest.approx(1, rel=0.02)
    for bound in (0.5, 1, 3):
        share = sum(gap > bound for gap in gaps) / len(gaps)
        assert share == pytest.approx(math.exp(-bound), rel=0.06)


def test_a_seed_fixes_the_schedule_and_another_one_changes_it() -> None:
    assert first(10, 10, "poisson", seed=5) == first(10, 10, "poisson", seed=5)
    assert first(10, 10, "poisson", seed=5) != first(10, 10, "poisson", seed=6)


@given(
    rate=st.floats(0.01, 1e7),
    arrivals=st.sampled_from(["uniform", "poisson"]),
    seed=st.integers(0, 2**64 - 1),
)
def test_the_engine_follows_the_same_schedule(rate: float, arrivals: str, seed: int) -> None:
    assert Schedule(rate, arrivals, seed).take(50) == first(50, rate, arrivals, seed)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_together_offer_the_uniform_schedule_of_one(threads: int) -> None:
    load = AimedLoad(port=1, connections=8, rate=1000, engine_threads=threads)
    due = [
        time
        for share in shares(load)
        if share.schedule is not None
        for time in share.schedule.take(12 // threads)
    ]
    assert sorted(due) == pytest.approx(first(12, 1000, "uniform"))


@given(
    connections=st.integers(1, 1000),
    idle=st.integers(0, 1000),
    threads=st.integers(1, 64),
    processes=st.integers(1, 64),
)
def test_every_connection_is_dealt_to_one_thread_of_one_process(
    connections: int, idle: int, threads: int, processes: int
) -> None:
    load = AimedLoad(
        port=1,
        connections=connections,
        idle_connections=idle,
        engine_threads=min(threads, connections),
        engine_processes=processes,
    )
    first = shares(load)
    dealt = [share for process in range(processes) for share in shares(load, process)]
    assert sum(share.busy for share in first) == sum(share.busy for share in dealt) == connections
    assert sum(share.idle for share in dealt) == idle
    assert max(share.busy for share in first) - min(share.busy for share in first) <= 1
    for before, after in itertools.pairwise(dealt):
        assert after.first == before.first + before.busy + before.idle
