"""pytest-benchmark's `pedantic` without a pytest around it.

The fixture that does the timing is a plain class; it asks of pytest only a name for what it times.
So an experiment can time a few lines in the middle of what it does, in whatever process and under
whatever interpreter it runs, and its rounds are kept as the plug-in's own JSON.
"""

from __future__ import annotations

__all__ = ["pedantic"]

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


def pedantic(
    group: str,
    name: str,
    action: Callable[..., object],
    *,
    rounds: int,
    iterations: int = 1,
    setup: Callable[[], Any] | None = None,
    teardown: Callable[..., object] | None = None,
) -> dict[str, Any]:
    """Time rounds of `iterations` actions; return the entry of the plug-in's JSON."""
    from pytest_benchmark.fixture import (
        BenchmarkFixture,
    )  # takes 0.2 s, and not all time in-process

    kept: list[Any] = []
    quiet = SimpleNamespace(debug=lambda *_, **__: None, info=lambda *_, **__: None)
    fixture = BenchmarkFixture(  # type: ignore[no-untyped-call]  # the plug-in has no types
        SimpleNamespace(name=name, nodeid=f"{group}::{name}"),
        disable_gc=True,
        timer=SimpleNamespace(target=time.perf_counter),
        min_rounds=1,
        min_time=0.0,
        max_time=0.0,
        precision=None,
        confidence=None,
        warmup=False,
        warmup_iterations=0,
        calibration_precision=10,
        add_stats=kept.append,
        logger=quiet,
        warner=quiet,
        disabled=False,
        cprofile=None,
        cprofile_loops=None,
        cprofile_dump=None,
        group=group,
    )
    fixture.pedantic(  # type: ignore[no-untyped-call]  # likewise
        action,
        setup=setup,
        teardown=teardown,
        rounds=rounds,
        iterations=iterations,
        warmup_rounds=2,
    )
    entry: dict[str, Any] = kept[0].as_dict()
    # The plug-in's options hold what a command line chose, and ours has none.
    return entry | {"options": {"rounds": rounds, "iterations": iterations, "disable_gc": True}}
