"""Placements: whose CPUs are whose, and what a user may name."""

from __future__ import annotations

import pytest

from bench.measure.placement import Placement, PlacementError, chosen, place


def test_cpus_that_a_user_names_take_the_place_of_any_scenarios() -> None:
    named = chosen("0,2-3", "1", [0, 1, 2, 3])
    assert named == Placement([0, 2, 3], [1])
    assert place("same", named) is named


@pytest.mark.parametrize(
    ("server", "client", "name", "apart"),
    [
        ([0], [1], "split", True),
        ([0], [0], "same", False),
        ([0, 1], [0, 1], "free", False),
        ([0, 1], [1], "free", False),
    ],
)
def test_named_cpus_are_called_what_they_are_and_only_cpus_apart_let_the_generator_spin(
    server: list[int], client: list[int], name: str, apart: bool
) -> None:
    placement = Placement(server, client)
    assert (placement.name, placement.apart) == (name, apart)


def test_no_cpus_named_is_no_placement() -> None:
    assert chosen("", "", [0, 1]) is None


@pytest.mark.parametrize(
    ("server", "client", "sentence"),
    [
        ("0", "", "go together"),
        ("0", "7", "there is no CPU 7"),
        ("0", "0-99999999999", "there is no CPU 99999999999"),
        ("0", "one", "numbers with commas"),
        ("0,,1", "0", "numbers with commas"),
        ("2-0", "1", "not all CPUs"),
    ],
)
def test_cpus_that_cannot_be_used_are_refused_in_a_sentence(
    server: str, client: str, sentence: str
) -> None:
    with pytest.raises(PlacementError, match=sentence):
        chosen(server, client, [0, 1, 2])
