"""What bounds a server here is read, and raised only where a load needs it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from bench.measure import limits as module
from bench.measure.limits import limits

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_the_limits_are_those_of_the_kernel_and_of_this_process() -> None:
    found = limits()
    assert found.descriptors == HARD
    assert found.tasks <= int(Path("/proc/sys/kernel/threads-max").read_text("ascii"))
    assert found.maps == int(Path("/proc/sys/vm/max_map_count").read_text("ascii"))
    assert found.memory_bytes > 2**28


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Keep what the kernel is asked for from reaching it."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "_number", lambda _path: HARD + 1_000)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, both: calls.append(both))
    return calls


def test_more_descriptors_are_asked_for_only_where_a_load_needs_them(
    asked: list[tuple[int, int]],
) -> None:
    limits(HARD // 2)
    assert asked == []
    limits(HARD)
    assert [hard for _, hard in asked] == [HARD + 1_000]


@pytest.mark.parametrize("refusal", [ValueError, PermissionError])
def test_where_they_are_not_to_be_had_the_limit_is_what_it_was(
    asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    def refuse(*_: object) -> None:
        asked.append((0, 0))
        raise refusal

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert limits(HARD).descriptors == HARD
    assert asked
