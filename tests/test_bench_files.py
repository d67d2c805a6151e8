"""Scenarios that need something of the server, files or a command: it is there for a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.measure.files import root_of
from bench.measure.launch import command
from bench.measure.placement import allowed_cpus
from bench.measure.trial import measure
from bench.plan.order import PlannedTrial, cells
from bench.plan.scenarios import FILES, SCENARIOS, find_profile, find_scenario
from reports.serving import Serving
from servers.catalog import find


def test_a_get_finds_its_file_a_put_an_empty_folder_and_both_are_gone_afterwards() -> None:
    with root_of(FILES["file-get"].load) as full, root_of(FILES["file-put"].load) as empty:
        (file,) = Path(full).iterdir()
        assert file.stat().st_size == FILES["file-get"].load.file_bytes == 2**20
        assert list(Path(empty).iterdir()) == []
    assert not Path(full).exists()
    assert not Path(empty).exists()


def test_the_folder_is_gone_after_an_interrupt_too() -> None:
    with pytest.raises(KeyboardInterrupt), root_of(FILES["file-put"].load) as folder:
        raise KeyboardInterrupt
    assert not Path(folder).exists()


def test_requests_that_are_not_about_files_get_no_folder() -> None:
    with root_of(SCENARIOS["echo"].load) as folder:
        assert folder == ""
    assert "--root" not in command(find("thread"), Serving())


@pytest.mark.parametrize("name", FILES)
def test_a_trial_moves_files_and_says_how_large_they_were(name: str) -> None:
    profile = replace(find_profile("files"), window_seconds=0.2, warm_up_seconds=0.05)
    trial = PlannedTrial(cells([find("thread")], [FILES[name]])[0], block=1)
    sample = measure(trial, profile, "run", allowed_cpus())
    assert sample.failure == ""
    assert not sample.tally.troubles
    assert sample.tally.requests > 0
    assert sample.load.file_bytes == 2**20


def test_a_trial_has_commands_run_and_counts_what_they_cost() -> None:
    assert "--exec" not in command(find("thread"), Serving())
    trial = PlannedTrial(cells([find("thread")], [find_scenario("exec")])[0], block=1)
    profile = replace(find_profile("exec"), window_seconds=0.2, warm_up_seconds=0.05)
    sample = measure(trial, profile, "run", allowed_cpus())
    assert sample.failure == ""
    assert not sample.tally.troubles
    assert sample.tally.requests > 0
