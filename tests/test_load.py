"""A load's field is one line: all that is made of a load follows from its fields, each of them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

import clients.__main__ as command_line
from bench.measure.trial import untried
from bench.plan.order import PlannedTrial, cells
from bench.plan.scenarios import SCENARIOS
from bench.verbs.lists import scenarios
from clients.load import AimedLoad
from reports.cells.frames import trials_frame
from reports.load import Load
from reports.record import Sample
from reports.tally import Tally
from servers.catalog import find

FIELDS = dataclasses.fields(Load)
BESIDE: dict[str, dict[str, Any]] = {"length_prefix": {"framing": "rawecho"}}
"""What a field needs beside it."""


def another(field: dataclasses.Field[Any]) -> Any:
    """Return a value that the field may have and does not have unless told."""
    allowed, default = field.metadata["allowed"], getattr(Load(), field.name)
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return next(word for word in allowed or ("WAIT",) if word != default)
    return type(default)(default + 2)


def load_with(field: dataclasses.Field[Any]) -> Load:
    return Load(**BESIDE.get(field.name, {}) | {field.name: another(field)})


each_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: str(field.name))


@each_field
def test_a_field_reaches_the_engine_through_the_line_that_its_process_is_given(
    field: dataclasses.Field[Any],
) -> None:
    aimed = AimedLoad.at("127.0.0.1", 4000, load_with(field))
    line = json.dumps(dataclasses.asdict(aimed))
    assert getattr(AimedLoad(**json.loads(line)), field.name) == another(field)


@each_field
def test_a_field_has_an_option_of_the_command_line(
    field: dataclasses.Field[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[AimedLoad] = []

    def drive(load: AimedLoad, *_: float) -> Tally:
        given.append(load)
        return Tally(seconds=1.0, requests=1)

    monkeypatch.setattr(command_line, "_drive", drive)
    monkeypatch.setattr(command_line, "_listens", lambda _: True)  # nobody does, nor need to
    words = ["127.0.0.1:4000", "--json"]
    for name, value in {**BESIDE.get(field.name, {}), field.name: another(field)}.items():
        row = next(each for each in FIELDS if each.name == name)
        option = row.metadata["option"] or f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    done = CliRunner().invoke(command_line.command_line(), words)
    assert done.exit_code == 0, done.output
    assert given == [AimedLoad.at("127.0.0.1", 4000, load_with(field))]


@each_field
def test_a_field_is_in_the_record_of_a_trial_and_in_its_row(
    field: dataclasses.Field[Any],
) -> None:
    scenario = dataclasses.replace(SCENARIOS["echo"], load=load_with(field))
    model = find("thread")._replace(transport=scenario.load.transport)
    trial = PlannedTrial(cells([model], [scenario])[0], block=another(field_named("seed")))
    sample = untried(trial, "a-run", [0])
    stored = Sample.from_json(json.loads(json.dumps(sample.to_json())))
    # On one CPU the generator never spins, whatever the scenario says: the placement decides.
    wanted = another(field) if field.name != "spin" else False
    assert getattr(stored.load, field.name) == wanted
    assert trials_frame([stored]).iloc[0][field.name] == wanted


def test_the_list_of_scenarios_has_every_field_beside_the_name_and_the_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenarios(as_json=True)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for name, scenario in SCENARIOS.items():
        found = {field.name: rows[name][field.name] for field in FIELDS}
        assert found == dataclasses.asdict(scenario.load)
        assert rows[name]["level"] == scenario.level
        assert "load" not in rows[name]


def field_named(name: str) -> dataclasses.Field[Any]:
    return next(field for field in FIELDS if field.name == name)


@each_field
def test_a_field_says_what_it_is_and_refuses_what_it_cannot_be(
    field: dataclasses.Field[Any],
) -> None:
    assert field.metadata["words"]
    allowed = field.metadata["allowed"]
    if isinstance(field.default, bool) or allowed is None:
        return
    beyond: Any = "other" if isinstance(field.default, str) else -1
    with pytest.raises(ValueError, match=f"^{field.name} must be "):
        Load(**{field.name: beyond})


def test_a_loads_names_are_no_figures_names() -> None:
    """Both are columns of one table, and fields of one record."""
    loads = {field.name for field in FIELDS}
    assert not loads & {field.name for field in dataclasses.fields(Sample)}
    assert not loads & {field.name for field in dataclasses.fields(Tally)}


def test_the_load_engines_process_starts_without_numpy() -> None:
    """It reads the tables of a load and of a tally, and makes no histogram."""
    look = "import sys, clients.engine.agent; print({'numpy', 'hdrh'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_tally_is_refused_when_a_figure_is_missing_or_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match=r"without, or with more than: .*answered"):
        Tally.from_raw({})
