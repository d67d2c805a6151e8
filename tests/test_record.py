"""Records survive being stored, and what is no record is refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.record import SCHEMA, Record, RecordError, Run, Sample
from tests.runs import make_run, make_sample


@pytest.mark.parametrize("record", [make_run(), make_sample()], ids=["run", "sample"])
def test_a_record_comes_back_from_json_as_it_was(record: Record) -> None:
    text = json.dumps(record.to_json())
    assert type(record).from_json(json.loads(text)) == record


def test_a_record_names_its_type_and_schema() -> None:
    values = make_sample().to_json()
    assert values["type"] == "sample"
    assert values["schema"] == SCHEMA


@pytest.mark.parametrize("schema", [None, 0, SCHEMA + 1, "1"])
def test_another_schema_is_refused(schema: object) -> None:
    values = {**make_run().to_json(), "schema": schema}
    with pytest.raises(RecordError, match="this version reads"):
        Run.from_json(values)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"requests": "many"}, "requests is 'many', which is no int"),
        ({"errors": []}, "errors is .*, which is no dict"),
        ({"colour": "red"}, "colour"),
    ],
    ids=["wrong type", "wrong container", "unknown field"],
)
def test_a_field_that_does_not_belong_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        Sample.from_json(make_sample().to_json() | change)


def test_a_missing_field_is_named() -> None:
    values = make_sample().to_json()
    del values["model"]
    with pytest.raises(RecordError, match="model"):
        Sample.from_json(values)


def test_a_whole_number_will_do_for_seconds() -> None:
    assert Sample.from_json(make_sample().to_json() | {"seconds": 2}).seconds == 2
