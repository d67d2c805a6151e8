"""What tells two machines apart."""

from __future__ import annotations

import pytest

from reports.machines import TELLING, differences
from tests.runs import MACHINE


def test_a_machine_does_not_differ_from_itself() -> None:
    assert differences(MACHINE, dict(MACHINE)) == []


@pytest.mark.parametrize("name", TELLING)
def test_each_telling_field_makes_another_machine(name: str) -> None:
    other = {**MACHINE, name: "another"}
    assert differences(MACHINE, other) == [f"{name}: {MACHINE[name]} and another"]


def test_the_commit_and_the_libraries_are_not_the_machine() -> None:
    assert differences(MACHINE, {**MACHINE, "commit": "f00", "libraries": {}}) == []


def test_several_differences_are_all_said() -> None:
    other = {**MACHINE, "cpu": "another", "kernel": "Linux 6.8"}
    assert [each.split(":")[0] for each in differences(MACHINE, other)] == ["cpu", "kernel"]


def test_a_fact_that_one_of_them_lacks_tells_them_apart() -> None:
    without = {name: value for name, value in MACHINE.items() if name != "kernel"}
    assert differences(without, MACHINE) == [f"kernel: None and {MACHINE['kernel']}"]
