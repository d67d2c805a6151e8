"""Records as JSON and back: every type with a schema number of its own, and readers for the old.

A record is a frozen dataclass of texts, numbers, lists, dictionaries and other such records. What
is read is checked against the types of its fields, all the way down, so that whoever has a record
need not ask again. A type that changes what an older reader would misread raises its `SCHEMA`, says
so in the history of its docstring, and adds to `READERS` the function that turns the values of the
schema before into its own; a file of any earlier schema is then read step by step.
"""

from __future__ import annotations

__all__ = ["Record", "RecordError", "Values", "built", "plain"]

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from reports.histogram import Histogram
from reports.untrusted import UntrustedError, checked, number, quoted

Values = Mapping[str, Any]


class RecordError(ValueError):
    """A stored record that this version cannot read; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every line of a file of records has in common."""

    SCHEMA: ClassVar[int] = 1
    READERS: ClassVar[Mapping[int, Callable[[Values], Values]]] = {}
    """By an older schema: the values of that schema to those of the next one."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-ready values, labelled with its type and schema."""
        return {"type": type(self).__name__.lower(), "schema": self.SCHEMA, **_fields_of(self)}

    @classmethod
    def from_json(cls, values: Values) -> Self:
        """Build the record from `to_json`'s values; RecordError when they do not make one."""
        schema = values.get("schema")
        if type(schema) is not int or schema < 1:
            raise RecordError(f"schema {quoted(schema)}, this version reads 1 to {cls.SCHEMA}")
        if schema > cls.SCHEMA:
            raise RecordError(
                f"a newer version wrote it: schema {schema}, this version reads 1 to {cls.SCHEMA}"
            )
        fields: Values = {
            name: value for name, value in values.items() if name not in {"type", "schema"}
        }
        try:
            for older in range(schema, cls.SCHEMA):
                fields = cls.READERS[older](fields)
        except KeyError as error:
            raise RecordError(f"{error} is missing") from error
        except (TypeError, AttributeError, ValueError) as error:
            raise RecordError(f"it is no record of schema {schema}: {error}") from error
        made: Self = built(cls, fields)
        return made


def built(kind: Any, values: object, where: str = "") -> Any:
    """Build a dataclass or a named tuple of checked values; RecordError names what is wrong."""
    if not isinstance(values, Mapping):
        raise RecordError(f"{where} is {quoted(values)}, which is no {kind.__name__}")
    hints = _hints(kind)
    if unknown := values.keys() - hints.keys():
        raise RecordError(f"{where or 'it'} has no field {', '.join(sorted(map(quoted, unknown)))}")
    prefix = f"{where}." if where else ""
    try:
        fields = {name: _read(hints[name], value, prefix + name) for name, value in values.items()}
    except UntrustedError as error:
        raise RecordError(str(error)) from error
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:  # a field is missing, or is not in its range
        raise RecordError(f"{where}: {error}" if where else str(error)) from error


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind, localns={"Histogram": Histogram})
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


MOST_FIGURE = 1e15
"""In any unit: what is beyond is no figure of a machine, and neither axes nor squares hold it."""
_PLAIN = (str, bool, int, float)


@cache
def _shape(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return an annotation's own type, and those between its brackets."""
    return get_origin(hint) or hint, get_args(hint)


def _read(hint: Any, value: Any, name: str) -> Any:
    """Return a field's value, made of the JSON that stands for it."""
    kind, parts = _shape(hint)
    # Most values are what they must be; thousands in a run, so that is looked at first.
    if hint is Any or (type(value) is kind and kind in (str, int, bool)):
        return value
    if kind in (list, Sequence):
        items = checked(name, value, list)
        if parts[0] in (str, int) and all(type(each) is parts[0] for each in items):
            return items
        return [_read(parts[0], each, name) for each in items]
    if kind is tuple:
        items = checked(name, value, list)
        if len(items) != len(parts):
            raise UntrustedError(f"{name} has {len(items)} items, not {len(parts)}")
        return tuple(_read(*both, name) for both in zip(parts, items, strict=True))
    if kind in (dict, Mapping):
        fields: Mapping[str, Any] = checked(name, value, dict)
        return {key: _read(parts[1], each, f"{name}.{key}") for key, each in fields.items()}
    if kind is Histogram:
        return Histogram.encoded(checked(name, value, str))
    if kind is float:
        return number(name, value, least=-MOST_FIGURE, most=MOST_FIGURE)
    return checked(name, value, kind) if kind in _PLAIN else built(hint, value, name)


def plain(value: Any) -> Any:
    """Return a field's value as JSON-ready ones."""
    if isinstance(value, Histogram):
        return value.text()
    if dataclasses.is_dataclass(value):
        return _fields_of(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def _fields_of(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
