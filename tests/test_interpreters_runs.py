"""Servers under other interpreters: started, alternated, recorded, and never mixed with others."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.interpreters.finding import found, resolve
from bench.interpreters.named import OWN, Interpreter
from bench.measure.launch import Server, ServerDied, command, import_path
from bench.measure.trial import measure
from bench.plan.available import UnavailableError, choose, reason_against
from bench.plan.order import PlannedTrial, cells, order
from bench.plan.precision import QuantityError, switch_seconds
from bench.plan.scenarios import SCENARIOS, find_profile
from reports.cells.gathering import workloads_of
from reports.record import Run, Sample
from reports.serving import Serving
from reports.store import Store
from servers.catalog import MODELS, find
from servers.protocol import COMPUTE, ECHO, UPPER, frame
from tests.commands import bench_in_process
from tests.peer import Peer
from tests.runs import make_run, make_sample

CPUS = sorted(os.sched_getaffinity(0))
ONE = Interpreter("one", version=(3, 12, 1))
OTHER = Interpreter("other:PYTHON_GIL=1", version=(3, 14, 0), environment=(("PYTHON_GIL", "1"),))
SHORT = replace(
    find_profile("quick"), window_seconds=0.1, warm_up_seconds=0.02, ceiling_seconds=0.0
)

OTHERS = [row for row in found() if not row.reason][1:]
"""What this machine has beside our own."""


# The plan.


def test_interpreters_alternate_within_the_blocks_and_have_cells_of_their_own() -> None:
    planned = cells([find("thread")], [SCENARIOS["echo"]], interpreters=(ONE, OTHER))
    assert [cell.key.interpreter for cell in planned] == ["one", "other:PYTHON_GIL=1"]
    trials = order(planned, 20, seed=1)
    firsts = {trials[at].cell.key.interpreter for at in range(0, 40, 2)}
    assert firsts == {"one", "other:PYTHON_GIL=1"}
    assert all(
        {a.cell, b.cell} == set(planned) for a, b in zip(trials[::2], trials[1::2], strict=True)
    )


def test_a_model_is_left_out_under_the_interpreter_that_cannot_run_it_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = MODELS[0]._replace(name="new", python=(3, 14))
    monkeypatch.setattr("bench.plan.available.find", lambda _: new)
    choice = choose("new", (ONE, OTHER))
    assert choice.models == (new,)
    assert choice.left_out == ("new needs Python 3.14, and one is 3.12.1",)
    assert choice.pairs == {(new, ONE)}
    planned = cells([new], [SCENARIOS["echo"]], interpreters=(ONE, OTHER), left_out=choice.pairs)
    assert [cell.interpreter for cell in planned] == [OTHER]
    with pytest.raises(UnavailableError, match=r"new needs Python 3\.14, and one is"):
        choose("new", (ONE,))


def test_a_library_must_be_there_for_the_interpreter_that_is_to_run_it() -> None:
    needy = MODELS[0]._replace(needs=("psutil",))
    assert reason_against(needy) == ""
    assert reason_against(needy, OTHER) == (
        f"{needy.name} needs psutil, not installed for other:PYTHON_GIL=1:"
        " threadmill interpreters --install models other"
    )


# The server.


def test_a_server_is_started_by_its_interpreter_with_its_libraries_and_its_settings() -> None:
    interpreter = replace(OTHER, path="/opt/py", libraries=("/opt/libraries",))
    model = find("thread")
    assert command(model, Serving(), interpreter=interpreter)[:3] == ["/opt/py", "-S", "-m"]
    assert import_path(model, Path("/home"), interpreter) == "/home"
    needy = model._replace(needs=("psutil",))
    assert import_path(needy, Path("/home"), interpreter) == f"/home{os.pathsep}/opt/libraries"
    server = Server(model, cpus=CPUS, interpreter=interpreter)
    assert server._environment()["PYTHON_GIL"] == "1"


def test_a_server_that_runs_under_another_python_than_it_should_is_no_trial() -> None:
    facts = {"implementation": "cpython", "version": "3.14.0"}
    liar = replace(OWN, name="3.14", facts=facts)
    with (
        pytest.raises(ServerDied, match=r"3\.14 is cpython 3\.14\.0, and the server says"),
        Server(find("serial"), cpus=CPUS, interpreter=liar) as server,
    ):
        server.wait_until_answering()


def test_what_a_server_says_at_its_start_and_end_and_what_was_set_is_recorded() -> None:
    (interpreter,) = resolve([f"mine={sys.executable}:PYTHONMALLOC=malloc"])
    scenario = SCENARIOS["echo"].served(switch_seconds=0.0005)
    (cell,) = cells([find("thread")], [scenario], interpreters=(interpreter,))
    sample = measure(PlannedTrial(cell, block=1), SHORT, "a-run", CPUS)
    assert sample.failure == ""
    assert sample.cell.interpreter == "mine:PYTHONMALLOC=malloc"
    assert "switch interval 0.5 ms" in sample.cell.level
    assert sample.server["switch_interval"] == 0.0005
    assert sample.server["at_end"]["gil"] is sample.server["gil"] is True
    assert sample.server["environment"]["PYTHONMALLOC"] == "malloc"
    assert not sample.gil_came_back
    assert Sample.from_json(sample.to_json()) == sample


GIL_STATES: Mapping[str, tuple[dict[str, Any], bool, bool]] = {
    "off": ({"gil": False, "at_end": {"gil": False}}, False, False),
    "on at the start": ({"gil": True, "at_end": {"gil": True}}, True, True),
    "on at the end": ({"gil": False, "at_end": {"gil": True}}, True, True),
    "killed": ({"gil": False}, False, False),
    "asked for": (
        {"gil": True, "at_end": {"gil": True}, "environment": {"PYTHON_GIL": "1"}},
        True,
        False,
    ),
    "odd": ({"gil": False, "at_end": 7, "environment": []}, False, False),
}


@pytest.mark.parametrize("state", GIL_STATES)
def test_a_gil_that_came_back_counts_and_is_said(state: str) -> None:
    server, has_gil, came_back = GIL_STATES[state]
    sample = replace(make_sample(), server={"free_threaded": True, **server})
    run = make_run()
    assert (sample.has_gil(run), sample.gil_came_back) == (has_gil, came_back)
    (workload,) = workloads_of(run, [sample])
    said = [note for note in workload.cells[0].notes if "GIL came back" in note]
    assert bool(said) is came_back


def test_a_build_with_a_gil_cannot_have_it_back() -> None:
    sample = replace(make_sample(), server={"free_threaded": False, "gil": True})
    assert not sample.gil_came_back


@pytest.mark.parametrize("text", ["0.1us", "11s", "5", "fast"])
def test_a_switch_interval_is_a_duration_that_python_takes(text: str) -> None:
    with pytest.raises(QuantityError):
        switch_seconds(text)
    assert switch_seconds("0.5ms") == 0.0005


# A run.


def test_a_run_over_interpreters_names_them_in_every_record(tmp_path: Path) -> None:
    results = tmp_path / "runs"
    words = ("run", "--models", "serial", "--scenarios", "compute", "--blocks", "1")
    version = ".".join(map(str, sys.version_info[:2]))
    again = f"again={sys.executable}"
    done = bench_in_process(
        *words, "--window", "0.05", "--python", f"{version},{again}", "--results", results
    )
    assert done.returncode == 0, done.stderr
    run, samples = Store(results).open().read()
    assert [each["name"] for each in run.interpreters] == [version, "again"]
    assert all(each["version"] == run.interpreters[0]["version"] for each in run.interpreters)
    assert {sample.cell.interpreter for sample in samples} == {version, "again"}
    assert f"serial on {version}" in done.stdout


@pytest.mark.parametrize(
    ("names", "sentence"),
    [("2.99", "there is no interpreter '2.99' here"), ("3.11:GIL=1", "no setting of an")],
)
def test_an_interpreter_that_cannot_be_is_exit_2_before_anything_is_measured(
    names: str, sentence: str, tmp_path: Path
) -> None:
    done = bench_in_process("run", "--python", names, "--results", tmp_path / "runs")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "runs").exists()


def test_interpreters_stand_in_the_order_in_which_they_were_named() -> None:
    run = Run.from_json(make_run().to_json() | {"interpreters": [{"name": "b"}, {"name": "a"}]})
    samples = [
        replace(sample, cell=sample.cell._replace(interpreter=name))
        for sample in [make_sample()]
        for name in ("a", "b")
    ]
    (workload,) = workloads_of(run, samples)
    assert [cell.key.interpreter for cell in workload.cells] == ["b", "a"]


# Those of this machine.

PER_DRIVER = ("thread", "process-pool", "coroutine", "asyncio")


@pytest.mark.skipif(not OTHERS, reason="no interpreter but ours is found that servers run under")
@pytest.mark.parametrize("other", OTHERS, ids=lambda row: str(row.name))
def test_a_model_of_each_driver_serves_and_stops_under_another_interpreter(other: Any) -> None:
    (interpreter,) = resolve([f"other={other.facts['path']}"])
    for name in PER_DRIVER:
        model = find(name)
        server = Server(
            model, Serving(workers=model.workers and 2), cpus=CPUS, interpreter=interpreter
        )
        with server:
            server.wait_until_answering()
            with Peer(server.port) as peer:
                assert peer.ask(UPPER, 1, b"x") == (UPPER + 128, 1, b"X")
                assert peer.ask(COMPUTE, 2, (9).to_bytes(4, "big")) == (COMPUTE + 128, 2, b"")
                peer.send(frame(ECHO, 3, b"y"))
                peer.end()
                assert peer.rest() == frame(ECHO + 128, 3, b"y")
        assert server.ready["python"] == other.facts["version"]
        assert server.ended["gil"] is other.facts["gil"]
