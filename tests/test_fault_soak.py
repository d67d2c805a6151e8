"""The soak of the engine, as far as a test can wait for it."""

from __future__ import annotations

from bench.experiments.instrument.fault_soak import soak


def test_faulty_requests_are_all_counted_and_leave_nothing_in_memory() -> None:
    assert soak(20_000, window_seconds=0.1).problems(20_000) == []
