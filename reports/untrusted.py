"""What others wrote, made safe: JSON to be read, and text for a terminal and for matplotlib.

A run, a baseline, a history or the JSON of another tool may come from anybody. JSON is bounded
before and after it is parsed: its size, the number of its lists and objects, how deep they are
nested, its numbers (nothing beyond 64 bits, no NaN, no infinity, also none by way of 1e400) and its
text (no half of a surrogate pair, which no file and no terminal takes). The types of fields are
held against Python's own annotations. Whatever is refused is one sentence, an UntrustedError.

Text is shown as it is as far as it can be printed; the rest (control characters, escape sequences,
marks that turn the direction of writing, surrogates, line ends) is shown as Python writes it in a
literal, so that nothing a file says can move a cursor, hide a line or end a chart.
"""

from __future__ import annotations

__all__ = [
    "MOST_BYTES",
    "NotJsonError",
    "UntrustedError",
    "checked",
    "fits",
    "for_matplotlib",
    "for_terminal",
    "number",
    "quoted",
    "read_json",
    "take",
    "visible",
]

import json
import math
import re
import sys
from collections.abc import Mapping
from types import UnionType
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin

MOST_BYTES = 64 * 2**20
MOST_CONTAINERS = 1_000_000
"""Lists and objects, counted by their opening brackets: an empty one takes 2 bytes in a file and
60 and more in memory."""
MOST_DEPTH = 64
GREATEST = 2**63 - 1

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN_BYTES = 60  # of what a sentence quotes

_Value = TypeVar("_Value")


class UntrustedError(ValueError):
    """Something that is not read any further; the message is a sentence, safe for a terminal."""


class NotJsonError(UntrustedError):
    """Text that is no JSON document at all; it may be something else."""


class _NumberError(UntrustedError):
    """A number that cannot be, in the midst of a document."""

    def __init__(self, word: str, which_is: str) -> None:
        super().__init__(word, which_is)
        self.word = word
        self.which_is = which_is


def read_json(text: bytes | str, *, most_bytes: int = MOST_BYTES) -> object:
    """Return what a JSON document says; UntrustedError when it is none, or goes beyond bounds."""
    if len(text) > most_bytes:
        raise UntrustedError(f"it is longer than {most_bytes:,} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotJsonError(f"it is no UTF-8: {error.reason} at byte {error.start}") from None
    if text.count("[") + text.count("{") > MOST_CONTAINERS:
        raise UntrustedError(f"it has more than {MOST_CONTAINERS:,} lists and objects")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"it is not JSON: {error}") from None
    except _NumberError as error:
        name = _field_with(text, error.word)
        word = for_terminal(error.word, _SHOWN_BYTES)
        raise UntrustedError(f"{name} is {word}, which is {error.which_is}") from None
    except RecursionError:
        raise UntrustedError(_TOO_DEEP) from None
    _check_depth(value)
    _check_text(text, value)
    return value


def fits(value: object, hint: Any) -> bool:
    """Return whether a JSON value has the type of an annotation: `list[int]`, `dict[str, float]`.

    2.0 may come back as 2, so a float may be whole; true and false are no numbers.
    """
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is list:
        return isinstance(value, list) and all(fits(each, part) for part in parts for each in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and (
            not parts
            or all(fits(key, parts[0]) and fits(each, parts[1]) for key, each in value.items())
        )
    if kind in (Any, object):
        return True
    accepted = (int, float) if kind is float else kind
    return isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))


def checked(name: str, value: object, hint: type[_Value]) -> _Value:
    """Return a field's value; UntrustedError, which names the field, when it has another type."""
    if not fits(value, hint):
        words = hint.__name__ if get_origin(hint) is None else str(hint).replace("typing.", "")
        raise UntrustedError(f"{for_terminal(name)} is {quoted(value)}, which is no {words}")
    return value  # type: ignore[return-value]  # that is what `fits` has shown


def take(values: object, name: str, hint: type[_Value]) -> _Value:
    """Return a field of an object; UntrustedError when it is not there or has another type."""
    if not isinstance(values, dict):
        raise UntrustedError(f"{quoted(values)} is no object with a field {for_terminal(name)}")
    if name not in values:
        raise UntrustedError(f"there is no field {for_terminal(name)}")
    return checked(name, values[name], hint)


def number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float | None = None,
    most: float = sys.float_info.max,
) -> float:
    """Return a number from `least` to `most`, and above `above`; else UntrustedError."""
    found = checked(name, value, float)
    if not least <= found <= most or (above is not None and found <= above):
        wanted = f"from {least:g}" if above is None else f"above {above:g}"
        raise UntrustedError(
            f"{for_terminal(name)} is {quoted(value)}, and must be {wanted} to {most:g}"
        )
    return found


def quoted(value: object) -> str:
    """Return a value in a few words, for a sentence that refuses it."""
    return for_terminal(repr(value), _SHOWN_BYTES)


def for_terminal(text: str, most: int = 200) -> str:
    """Return text on one line in which every character can be seen, `most` of them or fewer."""
    # What is left out need not be made visible: a text may be megabytes long.
    shown = visible(text[: most + 1])
    return shown if len(shown) <= most else shown[: max(most - 1, 0)] + "…"[:most]


def visible(text: str) -> str:
    """Return text in which what cannot be printed stands as in a literal of Python's."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def for_matplotlib(text: str) -> str:
    r"""Return text that matplotlib shows as it is.

    Two dollars would make a formula of what is between them. With every dollar escaped none counts,
    and matplotlib takes the backslash off again; other backslashes mean something in formulas only.
    """
    return for_terminal(text).replace("$", r"\$")


def _whole(digits: str) -> int:
    # Not int() first: the time that it takes grows with the square of the number of digits.
    if len(digits) > len(str(-GREATEST)) or abs(found := int(digits)) > GREATEST:
        raise _NumberError(digits, "beyond 64 bits")
    return found


def _finite(digits: str) -> float:
    found = float(digits)
    if math.isinf(found):
        raise _NumberError(digits, "beyond all bounds")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _NumberError(name, "no number")


def _field_with(text: str, word: str) -> str:
    """Return the name of the field that a number stands in, or in whose list; for a sentence."""
    # The decoder does not say where it was.
    start = re.escape(word[:_SHOWN_BYTES])
    found = re.search(rf'"([^"\\]{{1,60}})"\s*:\s*(?:\[[^"\]]*?)?{start}', text)
    return for_terminal(found[1]) if found else "a number"


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)
_TOO_DEEP = f"it is nested more than {MOST_DEPTH} deep"


def _check_depth(value: object) -> None:
    """Go through lists and objects level by level, so that none is too deep to be checked."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise UntrustedError(_TOO_DEEP)


def _check_text(text: str, value: object) -> None:
    """Refuse half a surrogate pair, in the document itself or escaped in it."""
    try:
        text.encode()
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UntrustedError("it has text with half of a surrogate pair") from None
