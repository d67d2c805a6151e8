"""What others wrote: bounds of JSON, types of fields, text that nothing can be smuggled in by."""

from __future__ import annotations

import io
import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.untrusted import (
    GREATEST,
    MOST_CONTAINERS,
    MOST_DEPTH,
    UntrustedError,
    checked,
    fits,
    for_matplotlib,
    for_terminal,
    number,
    read_json,
    take,
)
from tests.hostile import ANY_JSON, ANY_TEXT


def read_or_refused(text: bytes | str) -> object:
    """Return what was read, or None when it was refused in one printable line."""
    refused = None
    try:
        return read_json(text)
    except UntrustedError as error:
        refused = str(error)
    assert refused.isprintable()
    return None


@given(ANY_JSON, st.booleans())
def test_any_json_is_read_as_it_is_or_refused_in_a_sentence(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    found = read_or_refused(text)
    assert found is None or found == value


@given(st.binary() | ANY_TEXT)
def test_anything_at_all_is_read_or_refused_in_a_sentence(text: bytes | str) -> None:
    read_or_refused(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested more than"),
        ("[" * 100_000 + "]" * 100_000, "nested more than"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than"),
        ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "nested more than"),
        ("[" + "[]," * MOST_CONTAINERS + "[]]", "lists and objects"),
        ("NaN", "a number is NaN, which is no number"),
        ("[-Infinity]", "Infinity, which is no number"),
        ('{"stats": {"mean": NaN}}', "^mean is NaN"),
        ('{"data": [1, 2, -Infinity]}', "^data is -Infinity"),
        ('{"rounds": 1e999}', "^rounds is 1e999, which is beyond all bounds"),
        ("1e400", "beyond all bounds"),
        ("-1" + "0" * 400 + ".0", "beyond all bounds"),
        (str(GREATEST + 1), "beyond 64 bits"),
        (str(-GREATEST - 2), "beyond 64 bits"),
        ("1" * 1_000_000, "beyond 64 bits"),
        (r'"\ud800"', "surrogate"),
        ('{"\\uDFFF": 1}', "surrogate"),
        ('"\ud800"', "surrogate"),
        (b'"\xff"', "no UTF-8"),
        ("", "not JSON"),
        ('"\x1b[31m"', "not JSON"),
    ],
)
def test_what_goes_beyond_bounds_is_refused(text: bytes | str, says: str) -> None:
    with pytest.raises(UntrustedError, match=says):
        read_json(text)


def test_what_is_within_bounds_is_read() -> None:
    deep = "[" * MOST_DEPTH + "]" * MOST_DEPTH
    assert read_json(deep) == json.loads(deep)
    assert read_json(f"[{GREATEST}, {-GREATEST}, 1e308]") == [GREATEST, -GREATEST, 1e308]
    assert read_json(r'"\ud83d\ude00"') == "\N{GRINNING FACE}"  # both halves


def test_the_size_is_bounded_before_anything_is_parsed() -> None:
    with pytest.raises(UntrustedError, match="longer than 1,000 bytes"):
        read_json("x" * 1_001, most_bytes=1_000)


@pytest.mark.parametrize(
    ("value", "hint", "does"),
    [
        (2, float, True),
        (2.0, int, False),
        (True, int, False),
        (True, float, False),
        (True, bool, True),
        ([1, 2], list[int], True),
        ([1, "2"], list[int], False),
        ({"a": 1}, dict[str, float], True),
        ({"a": [1]}, dict[str, float], False),
        ({"a": {"b": 1}}, dict[str, dict[str, float]], True),
        ({"a": None}, dict[str, Any], True),
        (None, str | None, True),
        (None, str, False),
    ],
)
def test_a_value_is_held_against_an_annotation_down_to_its_elements(
    value: object, hint: Any, does: bool
) -> None:
    assert fits(value, hint) is does


def test_a_field_that_is_wrong_is_named() -> None:
    assert take({"rounds": 5}, "rounds", int) == 5
    with pytest.raises(UntrustedError, match="rounds is 'x', which is no int"):
        take({"rounds": "x"}, "rounds", int)
    with pytest.raises(UntrustedError, match="there is no field rounds"):
        take({}, "rounds", int)
    with pytest.raises(UntrustedError, match="no object with a field rounds"):
        take([1], "rounds", int)
    with pytest.raises(UntrustedError, match="which is no list"):
        checked("data", [1, "x"], list[float])


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", None, True])
def test_a_number_out_of_its_range_is_refused_with_its_name(value: object) -> None:
    with pytest.raises(UntrustedError, match=r"^stddev is "):
        number("stddev", value, least=0)
    with pytest.raises(UntrustedError, match=r"^mean is "):
        number("mean", value, above=0)


def test_the_bounds_of_a_number_are_least_which_it_may_be_and_above_which_not() -> None:
    assert number("stddev", 0, least=0) == 0
    with pytest.raises(UntrustedError, match="mean is 0, and must be above 0 to"):
        number("mean", 0, above=0)


@given(ANY_TEXT, st.integers(0, 300))
def test_any_text_is_safe_for_a_terminal(text: str, most: int) -> None:
    shown = for_terminal(text, most)
    assert len(shown) <= most
    shown.encode()  # raises on a lone surrogate
    # Neither controls nor formats, surrogates, private ones, line and paragraph ends.
    assert not any(unicodedata.category(each) in UNSEEN for each in shown)


UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 1.5 µs ≥ 日本", "plain, 1.5 µs ≥ 日本"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\0", r"a\nb\r\x00"),
        ("\u202etxt.exe", r"\u202etxt.exe"),  # writes backwards from here
        ("\x9b31m", r"\x9b31m"),  # an escape sequence's other form
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),  # a tag, which nothing shows
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


def test_text_that_is_too_long_is_cut_and_the_cut_is_marked() -> None:
    assert for_terminal("x" * 300) == "x" * 199 + "…"
    assert for_terminal("x" * 200) == "x" * 200


# A glyph that the font lacks is drawn as a box, and said; no error.
@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.filterwarnings("ignore:Matplotlib currently does not support")
@given(ANY_TEXT | st.text("$\\{}^_a"))
def test_matplotlib_shows_any_text_as_it_is(text: str) -> None:
    literal = for_matplotlib(text)
    figure = Figure(figsize=(1, 1))
    artist = figure.text(0, 0, literal)
    FigureCanvasAgg(figure)
    with io.BytesIO() as png, io.BytesIO() as svg, rc_context({"svg.fonttype": "none"}):
        figure.savefig(png, format="png")
        figure.savefig(svg, format="svg")
    assert artist._preprocess_math(literal) == (for_terminal(text), False)  # type: ignore[attr-defined]  # what it then draws


def test_a_formula_would_have_been_drawn_without_it() -> None:
    figure = Figure()
    figure.text(0, 0, r"$\foo$")
    FigureCanvasAgg(figure)
    with pytest.raises(ValueError, match="foo"):
        figure.savefig(io.BytesIO(), format="png")
