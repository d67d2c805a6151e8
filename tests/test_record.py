"""Records survive being stored, and what is no record is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from reports.histogram import Histogram
from reports.record import Record, RecordError, Run, Sample
from reports.serving import Serving
from reports.store import RunFolder
from tests.runs import make_run, make_sample


@pytest.mark.parametrize("record", [make_run(), make_sample()], ids=["run", "sample"])
def test_a_record_comes_back_from_json_as_it_was(record: Record) -> None:
    text = json.dumps(record.to_json())
    assert type(record).from_json(json.loads(text)) == record


def test_a_record_names_its_type_and_the_schema_of_that_type() -> None:
    values = make_sample().to_json()
    assert (values["type"], values["schema"]) == ("sample", Sample.SCHEMA)
    assert make_run().to_json()["schema"] == Run.SCHEMA


@pytest.mark.parametrize("schema", [None, 0, True, "1"])
def test_what_is_no_schema_is_refused(schema: object) -> None:
    values = {**make_run().to_json(), "schema": schema}
    with pytest.raises(RecordError, match="this version reads"):
        Run.from_json(values)


@pytest.mark.parametrize("record", [make_run(), make_sample()], ids=["run", "sample"])
def test_a_newer_schema_is_refused_in_one_sentence(record: Record) -> None:
    newer = record.SCHEMA + 1
    with pytest.raises(RecordError) as refused:
        type(record).from_json(record.to_json() | {"schema": newer})
    assert str(refused.value) == (
        f"a newer version wrote it: schema {newer}, this version reads 1 to {record.SCHEMA}"
    )


def within(name: str, **change: Any) -> dict[str, Any]:
    """Return the JSON of a sample with a change in one of the records that it contains."""
    values = make_sample().to_json()
    return values | {name: values[name] | change}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (within("tally", requests="many"), "tally.requests is 'many', which is no int"),
        (within("tally", errors=[]), "tally.errors is .*, which is no dict"),
        (within("tally", errors={"reset": "many"}), "tally.errors.reset is 'many'"),
        (within("tally", answered=5), "tally.answered is 5, which is no str"),
        (within("tally", seconds=float("nan")), "tally.seconds is nan, and must be from"),
        (within("tally", interval_requests=[1, None]), "tally.interval_requests is None"),
        (within("load", colour="red"), "load has no field 'colour'"),
        (within("load", depth=0), "load: depth must be 1 to 4096, not 0"),
        (within("load", spin=1), "load.spin is 1, which is no bool"),
        (within("serving", workers="many"), "serving.workers is 'many', which is no int"),
        (within("cell", model=None), "cell.model is None, which is no str"),
        (make_sample().to_json() | {"load": "heavy"}, "load is 'heavy', which is no Load"),
        (make_sample().to_json() | {"block": True}, "block is True, which is no int"),
        (make_sample().to_json() | {"colour": "red"}, "it has no field 'colour'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_does_not_belong_is_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        Sample.from_json(values)


@pytest.mark.parametrize("field", ["run", "cell", "load", "serving"])
def test_a_missing_field_is_named(field: str) -> None:
    values = make_sample().to_json()
    del values[field]
    with pytest.raises(RecordError, match=field):
        Sample.from_json(values)


def test_a_whole_number_will_do_for_seconds() -> None:
    assert Sample.from_json(within("tally", seconds=2)).tally.seconds == 2


def test_a_server_that_says_nothing_of_its_interpreter_had_the_conductors() -> None:
    run = make_run()
    free = dataclasses.replace(run, machine=run.machine | {"gil": False})
    silent, told = make_sample(), dataclasses.replace(make_sample(), server={"gil": False})
    assert (silent.has_gil(run), silent.has_gil(free)) == (True, False)
    assert not told.has_gil(run)


GOLDEN = Path(__file__).parent / "golden"


def test_a_run_of_schema_1_is_read_with_its_cells_loads_and_figures() -> None:
    run, samples = RunFolder(GOLDEN / "run-schema-1").read()
    lines = (GOLDEN / "run-schema-1" / "run.jsonl").read_text().splitlines()
    old = [json.loads(line) for line in lines[1:]]
    assert run.models == ["thread", "serial"]
    assert {sample.cell.scenario for sample in samples} >= {"echo", "rate", "connections"}
    for sample, values in zip(samples, old, strict=True):
        assert values["schema"] == 1
        assert sample.cell == (values["scenario"], values["level"], values["model"], "")
        load = {name: getattr(sample.load, name) for name in LOAD_OF_SCHEMA_1}
        assert load == {name: values[name] for name in LOAD_OF_SCHEMA_1}
        assert sample.load.spin == bool(values["spin"])
        assert sample.load.seed == values["block"]
        assert sample.load.file_bytes == values["file_bytes"]
        assert sample.tally.requests == values["requests"]
        assert sample.tally.errors == values["errors"]
        assert sample.tally.answered == Histogram.encoded(values["answered"])
        assert sample.pss_loaded_bytes == values["pss_loaded_bytes"]
        assert sample.failure == values["failure"]
        assert (sample.server, sample.host) == ({}, "")


def test_a_run_of_schema_2_is_read_with_how_its_servers_were_started() -> None:
    _, samples = RunFolder(GOLDEN / "run-schema-2").read()
    lines = (GOLDEN / "run-schema-2" / "run.jsonl").read_text().splitlines()
    old = [json.loads(line) for line in lines[1:]]
    moved = ("workers", "placement", "backlog", "receive_buffer", "link")
    assert all(len({values[name] for values in old}) > 1 for name in moved)  # it has them all
    for sample, values in zip(samples, old, strict=True):
        assert values["schema"] == 2
        assert sample.serving == Serving(**{name: values[name] for name in moved})
        assert sample.to_json()["load"] == values["load"]
        assert sample.to_json()["tally"] == values["tally"]


LOAD_OF_SCHEMA_1 = (
    "connections", "depth", "session", "kind", "size_bytes", "argument", "rate", "idle_connections",
)  # fmt: skip


@pytest.mark.parametrize("schema", [1, 2])
def test_what_was_read_of_an_older_schema_is_written_in_the_present_one_and_read_again(
    schema: int,
) -> None:
    _, samples = RunFolder(GOLDEN / f"run-schema-{schema}").read()
    for sample in samples:
        values = json.loads(json.dumps(sample.to_json()))
        assert values["schema"] == Sample.SCHEMA
        assert Sample.from_json(values) == sample


@pytest.mark.parametrize(
    ("schema", "name"),
    [(1, "model"), (1, "connections"), (1, "block"), (2, "workers"), (2, "placement")],
)
def test_a_sample_of_an_older_schema_that_lacks_a_field_is_refused_and_says_which(
    schema: int, name: str
) -> None:
    line = (GOLDEN / f"run-schema-{schema}" / "run.jsonl").read_text().splitlines()[1]
    values = json.loads(line)
    del values[name]
    with pytest.raises(RecordError, match=name):
        Sample.from_json(values)
